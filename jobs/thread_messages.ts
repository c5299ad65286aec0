export interface ThreadSettings {
  readonly databaseUrl: string;
  /** The `application_name` of its connections. */
  readonly name: string;
  readonly statementTimeoutMs: number;
}

/** To a thread: a task; it has one at a time. */
export interface TaskRequest {
  readonly task: string;
  readonly args: never;
  /** One `Int32`; not 0: the task must stop. A message would not reach a thread that computes. */
  readonly stop: SharedArrayBuffer;
}

/** From a thread: the progress of its task, then its result or its error. */
export type ThreadMessage<Result> =
  | { readonly progress: Readonly<Record<string, number>> }
  | { readonly result: Result }
  | { readonly error: PlainError };

/** An error as data: an error that is sent to another thread loses its code. */
interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string | undefined;
  /** PostgreSQL's SQLSTATE, or another code. */
  readonly code?: string | undefined;
  readonly cause?: PlainError | undefined;
}

const MAX_CAUSES = 5;

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

export function fromPlainError({ message, cause, ...rest }: PlainError): Error {
  const options = cause === undefined ? {} : { cause: fromPlainError(cause) };
  return Object.assign(new Error(message, options), rest);
}
