/** What a thread is started with. */
export interface ThreadSettings {
  readonly databaseUrl: string;
  /** What its connections are called in `pg_stat_activity`. */
  readonly name: string;
  /** PostgreSQL gives up its statements after this long, in ms. */
  readonly statementTimeoutMs: number;
}

/** To a thread: a task to do. It has one at a time. */
export interface TaskRequest {
  readonly task: string;
  readonly args: never;
  /** One `Int32`; the task is to stop when it is not 0. A message would wait until it has time. */
  readonly stop: SharedArrayBuffer;
}

/** From a thread: how far its task is, then its result or its error. */
export type ThreadMessage<Result> =
  | { readonly progress: Readonly<Record<string, number | string>> }
  | { readonly result: Result }
  | { readonly error: PlainError };

/** An error as data. A copy of an error from another thread has lost its code. */
export interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string | undefined;
  /** The SQLSTATE of PostgreSQL, or another name for programs. */
  readonly code?: string | undefined;
  readonly cause?: PlainError | undefined;
}

/** So many causes of an error are kept. */
const MAX_CAUSES = 5;

/** What was thrown, to be sent. */
export function toPlainError(thrown: unknown, causes = MAX_CAUSES): PlainError {
  if (!(thrown instanceof Error)) return { name: "Error", message: String(thrown) };
  const { name, message, stack, cause } = thrown;
  return {
    name,
    message,
    stack,
    ...("code" in thrown && { code: String(thrown.code) }),
    ...(cause !== undefined && causes > 0 && { cause: toPlainError(cause, causes - 1) }),
  };
}

/** The error that was sent. */
export function fromPlainError({ message, cause, ...rest }: PlainError): Error {
  const options = cause === undefined ? {} : { cause: fromPlainError(cause) };
  return Object.assign(new Error(message, options), rest);
}
