import type { Lane } from "./lanes.ts";
import type { Sql } from "./sql.ts";

/*
 * Statements as postgres.js 3.4.9 makes them, and the state that it keeps of a connection from one
 * statement to the next. Its types lack these fields; `driver_test.ts` fails when they change.
 */

/** A statement of postgres.js: to run, it calls its handler with itself. */
export interface Query extends Promise<unknown> {
  handler: Handler;
  resolve(result: unknown): void;
  reject(error: unknown): void;
  /** Called with each row instead of adding it to the result. */
  forEachFn?: (row: unknown, result: unknown[]) => void;
  readonly cursorFn?: unknown;
  /** The text, at the places of its parameters in parts. */
  strings: readonly string[];
  /** `simple`: sent as text without parameters. `prepare`: with a name, unless it is false. */
  options: { readonly simple?: boolean; readonly prepare?: boolean };
  retried?: unknown;
  /** When its caller gives up, by `performance.now()`; nothing of it may be stored after that. */
  until?: number;
  /** Its queue in the pool; undefined: it goes first, and is never refused. */
  lane?: Lane;
  /** It continues work that has stored something: it waits in its lane, and is never refused. */
  continues?: boolean;
}

type Handler = (query: Query) => void;

/**
 * `sql` with statements that go to `run` when they are executed.
 *
 * @param run called with a statement and the handler of `sql` that sends it
 */
export function intercept(sql: Sql, run: (query: Query, send: Handler) => void): Sql {
  const send = handlerOf(sql);
  // With `debug` postgres.js stores no failed statement in its map of stacks, which only grows.
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
    // They would use connections of their own.
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
 * Makes a statement collect its own rows; call it before sending. postgres.js counts rows on the
 * connection and resets the count only after a success: after an error among the rows, the next result
 * would begin with empty places.
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
 * postgres.js sends a statement again when the server has lost the prepared one, and would serialize
 * its parameters twice: JSON would become a JSON string, `true` would become `false`.
 */
function serializeAgainOnRetry(prototype: object): void {
  if (Object.hasOwn(prototype, "retried")) return;
  Object.defineProperty(prototype, "retried", {
    get(this: { [RETRIED]?: unknown }) {
      return this[RETRIED];
    },
    // postgres.js sets the first error here, right before it builds the statement again.
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

/** Calls back when a statement has its result, before its caller is notified. */
export function onResult(query: Query, succeeded: () => void): void {
  const { resolve } = query;
  query.resolve = (result) => {
    succeeded();
    resolve(result);
  };
}

/** Marks a statement whose caller waits only until this moment, by `performance.now()`. */
export function setDeadline(query: Promise<unknown>, until: number): void {
  (query as Query).until = until;
}

/** The statement's text up to its first parameter. */
export function textOf(query: Query): string {
  return query.strings[0] ?? "";
}

/** Sends a statement without parameters as this text, which may have several statements. */
export function sendAsText(query: Query, text: string): void {
  query.strings = [text];
  query.options = { ...query.options, simple: true, prepare: false };
}

/** Sends a statement as one of the extended protocol, also when it is a text without parameters. */
export function sendExtended(query: Query): void {
  query.options = { ...query.options, simple: false };
  if (query.options.prepare === false) skipDescription(query);
}

/** Sends a statement without preparing it; one that is sent as text is not changed. */
export function sendUnnamed(query: Query): void {
  query.options = { ...query.options, prepare: false };
  skipDescription(query);
}

/** Whether a statement is prepared, so that postgres.js may send it again. */
export function isNamed({ options }: Query): boolean {
  return options.simple !== true && options.prepare !== false;
}

/** Makes a statement that failed ready to be sent again. */
export function resetForRepeat(query: Query): void {
  query.retried = undefined;
}

/**
 * Without the round trip in which PostgreSQL tells the types of the parameters: it reads each as the
 * statement needs it.
 */
function skipDescription(query: Query): void {
  Object.defineProperty(query, "describeFirst", { get: () => false, set() {}, configurable: true });
}
