/** The kinds of responses that are no success, by their status. */
const KINDS = {
  400: "bad_request",
  401: "unauthorized",
  403: "forbidden",
  404: "not_found",
  405: "method_not_allowed",
  408: "too_slow",
  409: "conflict",
  413: "too_large",
  415: "unsupported_media_type",
  422: "outside_contract",
  429: "too_many",
  502: "away",
  503: "away",
  504: "away",
} as const;

type NamedStatus = keyof typeof KINDS;

/**
 * What went wrong, in names that stay; a new one may come, none changes its meaning.
 *
 * With a response: one for each status of the contract; `away` is 502, 503 and 504; `refused` is any
 * other 4xx, and `fault` any other 5xx. `unreadable` is a response that isn't what the contract says,
 * as of a proxy that responds in the service's place.
 *
 * Without a response: `network` when none came, or not all of it; `timeout` when it took too long.
 * `not_done` is a trace or an audit whose result there isn't, or not yet.
 */
export type ErrorKind =
  | typeof KINDS[NamedStatus]
  | "refused"
  | "fault"
  | "unreadable"
  | "network"
  | "timeout"
  | "not_done";

/** One place in a request that the contract doesn't allow. */
export interface ErrorDetail {
  /** Field names joined by dots; empty for the whole body. */
  readonly path: string;
  /** What is wrong there. */
  readonly message: string;
}

interface Facts {
  readonly status?: number | undefined;
  readonly details?: readonly ErrorDetail[] | undefined;
  readonly requestId?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** Whatever a call can end with but success and the reason of the caller's own signal. */
export class LotlineError extends Error {
  override readonly name = "LotlineError";
  /** What went wrong, for a program; the message is for people. */
  readonly kind: ErrorKind;
  /** The response's status; undefined without a response. */
  readonly status: number | undefined;
  /** The places of the request that are wrong, where the service named them. */
  readonly details: readonly ErrorDetail[];
  /** What the service's log calls the request; undefined without a response. */
  readonly requestId: string | undefined;
  /** How long the service asked to be left alone, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  /** The message is the `error` sentence of the service, where there is one. */
  constructor(kind: ErrorKind, message: string, facts: Facts = {}) {
    super(message, facts.cause === undefined ? {} : { cause: facts.cause });
    this.kind = kind;
    this.status = facts.status;
    this.details = facts.details ?? [];
    this.requestId = facts.requestId;
    this.retryAfterMs = facts.retryAfterMs;
  }
}

/** A response that is no success, as an error; `body` is what it held, as JSON or as text. */
export function errorOfResponse(
  { status, headers }: { readonly status: number; readonly headers: Headers },
  body: unknown,
): LotlineError {
  const facts = {
    status,
    requestId: headers.get("x-request-id") ?? undefined,
    retryAfterMs: retryAfterOf(headers, Date.now()),
  };
  const { error, details } = fieldsOf(body);
  if (typeof error !== "string") {
    return new LotlineError(kindOf(status), `The response is ${status} and gives no reason`, facts);
  }
  return new LotlineError(kindOf(status), error, {
    ...facts,
    details: Array.isArray(details) ? details.filter(isDetail) : [],
  });
}

/** The kind of a response that is no success. */
export function kindOf(status: number): ErrorKind {
  if (isNamed(status)) return KINDS[status];
  if (status < 400) return "unreadable";
  return status < 500 ? "refused" : "fault";
}

/** How long to wait before the next try, in milliseconds; seconds or a date stand in the header. */
export function retryAfterOf(headers: Headers, now: number): number | undefined {
  const text = headers.get("retry-after")?.trim() ?? "";
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  // RFC 9110's dates all begin with the day; Date.parse would take a lot of other things, too.
  const at = /^[A-Z][a-z]{2}/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

/**
 * Why a request or a response failed, in the platform's words. Node wraps the reason in "fetch failed",
 * and that of several addresses in an error without words.
 */
export function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  if (thrown.cause instanceof Error) return reasonOf(thrown.cause);
  if (thrown instanceof AggregateError && thrown.errors.length > 0) {
    return thrown.errors.map(reasonOf).join(", ");
  }
  return thrown.message || thrown.name;
}

function isNamed(status: number): status is NamedStatus {
  return status in KINDS;
}

function fieldsOf(
  value: unknown,
): Partial<Record<"error" | "details" | "path" | "message", unknown>> {
  return typeof value === "object" && value !== null ? value : {};
}

function isDetail(value: unknown): value is ErrorDetail {
  const { path, message } = fieldsOf(value);
  return typeof path === "string" && typeof message === "string";
}
