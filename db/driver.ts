import type { Sql } from "./sql.ts";

/*
 * Statements as postgres.js 3.4.9 makes them, and what it carries over from one statement to the next
 * on a connection. Its types don't show these fields; `driver_test.ts` fails when they change.
 */

/** A statement of postgres.js: when it is to run, it gives itself to its handler. */
export interface Query extends Promise<unknown> {
  handler: Handler;
  /** Both are replaced for a statement that is read by a cursor: its promise never settles. */
  resolve(rows: unknown): void;
  reject(error: unknown): void;
  /** Takes each row in place of the result. */
  forEachFn?: (row: unknown, result: unknown[]) => void;
  readonly cursorFn?: unknown;
}

type Handler = (query: Query) => void;

/**
 * `sql`, whose statements go to `run` when they are to run.
 *
 * @param run gets a statement and the handler of `sql` that sends it
 */
export function intercept(sql: Sql, run: (query: Query, send: Handler) => void): Sql {
  const send = handlerOf(sql);
  // With `debug` no failed statement is kept in the map of stacks of postgres.js, which only grows.
  const handler = Object.assign((query: Query) => run(query, send), { debug: true });
  const intercepted = <Made>(made: Made): Made => {
    if (made instanceof Promise) (made as unknown as Query).handler = handler;
    return made;
  };
  const make = sql as unknown as (...args: unknown[]) => unknown;
  return Object.assign((...args: unknown[]) => intercepted(make(...args)), sql, {
    unsafe: (...args: Parameters<Sql["unsafe"]>) => intercepted(sql.unsafe(...args)),
    // They would use connections that nothing here watches.
    ...Object.fromEntries(
      ["reserve", "listen", "subscribe", "largeObject", "file"].map((name) => [name, () => {
        throw new Error(`${name} of postgres.js is not supported`);
      }]),
    ),
  }) as unknown as Sql;
}

/** The handler that sends the statements of `sql`. */
export function handlerOf(sql: Sql): Handler {
  // A statement that never runs.
  const query = sql`` as unknown as Query;
  serializeAgainOnRetry(Object.getPrototypeOf(query));
  return query.handler;
}

/**
 * Lets a statement collect its own rows; to be called before it is sent. postgres.js counts the rows of
 * a result on the connection and starts again only where a result ends well: after an error among the
 * rows, the next result would begin with empty places.
 *
 * @returns whether rows have arrived
 */
export function collectRows(query: Query): { readonly hasRows: boolean } {
  const arrived = { hasRows: false };
  const { forEachFn } = query;
  query.forEachFn = (row, result) => {
    arrived.hasRows = true;
    if (forEachFn === undefined) result.push(row);
    else forEachFn(row, result);
  };
  return arrived;
}

const RETRIED = Symbol("retried");

/**
 * postgres.js sends a statement again when the server has forgotten what was prepared. It would
 * serialize the parameters a second time: JSON would become a JSON string, `true` would become `false`.
 */
function serializeAgainOnRetry(prototype: object): void {
  if (Object.hasOwn(prototype, "retried")) return;
  Object.defineProperty(prototype, "retried", {
    get(this: { [RETRIED]?: unknown }) {
      return this[RETRIED];
    },
    // postgres.js notes the error of the first try here, right before it builds the statement again.
    set(this: { [RETRIED]?: unknown; parameters: unknown }, error: unknown) {
      this[RETRIED] = error;
      this.parameters = undefined;
    },
  });
}

/** Is told when a statement is over; with its error when it has failed. */
type OnSettled = (failure?: { readonly error: unknown }) => void;

const listeners = new WeakMap<Query, OnSettled[]>();

/** Calls back once, when a statement is over. */
export function onceSettled(query: Query, settled: OnSettled): void {
  if (query.cursorFn === undefined) {
    query.then(() => settled(), (error) => settled({ error }));
    return;
  }
  const known = listeners.get(query);
  if (known === undefined) watchCursor(query, [settled]);
  else known.push(settled);
}

/** Calls back when a statement fails, before its caller is told. */
export function onFailure(query: Query, failed: (error: unknown) => void): void {
  if (query.cursorFn === undefined) {
    const { reject } = query;
    query.reject = (error) => {
      failed(error);
      reject(error);
    };
  } else {
    onceSettled(query, (failure) => failure && failed(failure.error));
  }
}

/** Each step of a loop over a cursor puts other functions in place of `resolve` and `reject`. */
function watchCursor(query: Query, settled: OnSettled[]): void {
  listeners.set(query, settled);
  let { resolve, reject } = query;
  Object.defineProperties(query, {
    resolve: {
      get: () => (rows: unknown) => {
        for (const listener of settled.splice(0)) listener();
        resolve(rows);
      },
      set: (next: typeof resolve) => resolve = next,
    },
    reject: {
      get: () => (error: unknown) => {
        for (const listener of settled.splice(0)) listener({ error });
        reject(error);
      },
      set: (next: typeof reject) => reject = next,
    },
  });
}
