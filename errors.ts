import { PoolBusyError } from "./db/lanes.ts";
import type { ProblemKind } from "./db/link_error.ts";
import { isMissingObject, isRefusedValue, isUnavailable } from "./db/pg_errors.ts";
import { problemOf } from "./db/problems.ts";

/**
 * The one table of error codes and statuses. {@link toApiError} maps everything that is thrown to
 * one of them.
 */
const STATUS = {
  invalid_request: 400,
  invalid_json: 400,
  client_gone: 400,
  user_not_found: 401,
  wrong_credentials: 401,
  no_token: 401,
  bad_token: 401,
  role: 403,
  operator: 403,
  dry_run_unproven: 403,
  dry_run_impossible: 403,
  path_not_found: 404,
  lot_not_found: 404,
  trace_not_found: 404,
  page_not_found: 404,
  audit_not_found: 404,
  method_not_allowed: 405,
  body_too_slow: 408,
  taken: 409,
  unknown_reference: 409,
  route_refused: 409,
  key_in_flight: 409,
  key_reused: 409,
  body_too_large: 413,
  trace_too_large: 413,
  unsupported_media_type: 415,
  outside_contract: 422,
  too_many_tries: 429,
  too_many_logins: 429,
  account_busy: 429,
  internal: 500,
  overloaded: 503,
  stopping: 503,
  database_away: 503,
  revocations_unknown: 503,
} as const;

/** The statuses of error responses. */
export const ERROR_STATUSES: ReadonlySet<number> = new Set(Object.values(STATUS));

/** The stable name of an error, for code and logs; clients read the status and the sentence. */
export type ErrorCode = keyof typeof STATUS;

/** One place in a request that violates the contract. */
export interface ErrorDetail {
  /** Field names and list positions joined by dots; empty for the whole body. */
  readonly path: string;
  /** What the contract allows there. */
  readonly message: string;
}

/** The body of every error response. */
export interface ErrorBody {
  readonly error: string;
  readonly details?: readonly ErrorDetail[];
}

interface ErrorOptions {
  readonly details?: readonly ErrorDetail[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
  /** The id of the account whose request it refuses. */
  readonly account?: string | undefined;
  /** That of the cause by default. */
  readonly problem?: ProblemKind | undefined;
}

/** An error with the client's sentence; the cause goes to the log only. */
export class ApiError extends Error {
  override name = "ApiError";
  readonly status: typeof STATUS[ErrorCode];
  readonly details: ErrorOptions["details"];
  readonly headers: Readonly<Record<string, string>>;
  /** For the log. */
  readonly account: string | undefined;
  /** What is wrong with the database, for the log. */
  readonly problem: ProblemKind | undefined;

  constructor(readonly code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.status = STATUS[code];
    this.details = options.details;
    this.account = options.account;
    this.problem = options.problem ??
      (code === "database_away" ? problemOf(options.cause)?.kind : undefined);
    this.headers = { ...(this.status === 503 ? RETRY_SOON : {}), ...options.headers };
  }

  get body(): ErrorBody {
    return { error: this.message, ...this.details && { details: this.details } };
  }
}

// In seconds. The service responds within a second after PostgreSQL restarts.
const RETRY_SOON = { "retry-after": "1" };

const BUSY = "The database is too slow for all requests, try again shortly";

const UNAVAILABLE = "The database is away or too slow, try again shortly";

/**
 * Maps anything thrown to the client's error. An unknown error becomes a 500 whose sentence reveals
 * nothing internal.
 *
 * @param isBehind whether the database is known to lack migrations
 */
export function toApiError(thrown: unknown, isBehind = false): ApiError {
  if (thrown instanceof ApiError) return thrown;
  if (thrown instanceof PoolBusyError) return new ApiError("overloaded", BUSY, { cause: thrown });
  if (isUnavailable(thrown)) return new ApiError("database_away", UNAVAILABLE, { cause: thrown });
  if (isBehind && isMissingObject(thrown)) {
    return new ApiError("database_away", UNAVAILABLE, { cause: thrown, problem: "schema_old" });
  }
  if (isRefusedValue(thrown)) {
    return new ApiError("outside_contract", "A value is not one that can be stored", {
      cause: thrown,
    });
  }
  return new ApiError("internal", "Something went wrong on our side", { cause: thrown });
}
