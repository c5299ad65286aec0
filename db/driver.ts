import type { Sql } from "./sql.ts";

/*
 * Statements as postgres.js 3.4.9 makes them, and what it carries over from one statement to the next
 * on a connection. Its types don't show these fields; `driver_test.ts` fails when they change.
 */

/** A statement of postgres.js: when it is to run, it gives itself to its handler. */
export interface Query extends Promise<unknown> {
  handler: Handler;
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
  const handler = Object.assign((query: Query) => {
    if (query.cursorFn === undefined && query.forEachFn === undefined) run(query, send);
    else query.reject(new Error("cursor and forEach of postgres.js are not supported"));
  }, { debug: true });
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
  query.forEachFn = (row, result) => {
    arrived.hasRows = true;
    result.push(row);
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

/** Calls back once, when a statement is over; with its error when it has failed. */
export function onceSettled(
  query: Query,
  settled: (failure?: { readonly error: unknown }) => void,
): void {
  query.then(() => settled(), (error) => settled({ error }));
}

/** Calls back when a statement fails, before its caller is notified. */
export function onFailure(query: Query, failed: (error: unknown) => void): void {
  const { reject } = query;
  query.reject = (error) => {
    failed(error);
    reject(error);
  };
}
