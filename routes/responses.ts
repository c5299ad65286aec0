import { z } from "@hono/zod-openapi";
import type { ErrorBody } from "../errors.ts";

const detail = z.strictObject({ path: z.string(), message: z.string() });

export const ErrorResponse = z.strictObject({
  error: z.string().min(1),
  details: z.array(detail).optional(),
}).openapi("Error") satisfies z.ZodType<ErrorBody>;

const header = (description: string, schema: Record<string, unknown> = {}, required = true) => ({
  description,
  required,
  schema: { type: "string" as const, ...schema },
});

const ETag = header("Weak validator of this body, for If-None-Match.", { pattern: '^W/"' });
const Allow = header("The methods that this path answers.");
const Challenge = header("How to be let in (RFC 6750).", { pattern: "^Bearer " });
const RetryAfter = header("Seconds to wait before the next try.", { pattern: "^[0-9]+$" });

const RetryInFlight = { ...RetryAfter, required: false };
const Replayed = header("This is the first answer once more.", { enum: ["true"] }, false);

export const success = <S extends z.ZodType>(schema: S, description: string) => ({
  description,
  headers: { ETag },
  content: { "application/json": { schema } },
});

/** Accepted work: its state now, and its URL. */
export const accepted = <S extends z.ZodType>(schema: S, description: string, path: string) => ({
  description,
  headers: { ETag, Location: header("Where it is.", { pattern: `^${path}/` }) },
  content: { "application/json": { schema } },
});

/** A success that a repetition with the same Idempotency-Key gets again. */
export const repeatable = <
  A extends { readonly description: string; readonly headers?: Record<string, typeof ETag> },
>(response: A) => ({
  ...response,
  headers: { ...response.headers, "Idempotency-Replayed": Replayed },
});

export const notModified = {
  description: "What the client has is still right.",
  headers: { ETag },
};

const SENTENCE = {
  400: "The body is no JSON, or the path holds a broken percent escape.",
  401: "AUTH_MODE=required: no valid token.",
  403: "AUTH_MODE=required: the role may not do this.",
  404: "There is no such thing.",
  405: "The path is known, the method is not for it.",
  408: "The body took too long to arrive.",
  409:
    "The code or id is taken, or a reference leads nowhere; with Retry-After: the first request " +
    "with this Idempotency-Key is still being worked on.",
  413: "The body is larger than 102,400 bytes after inflating.",
  415: "The body is not application/json in UTF-8, plain, gzip or deflate.",
  422: "The request is JSON but outside this contract, details name the places; or its " +
    "Idempotency-Key was used for another request.",
  429: "Too many tries, or too much work of one account waits already.",
  500: "A fault of the service; the log has its cause.",
  503: "The database is away or too slow, or the service has too much to do.",
} as const;

const HEADERS: Partial<Record<ErrorResponseStatus, Record<string, typeof Allow>>> = {
  401: { "WWW-Authenticate": Challenge },
  405: { Allow },
  409: { "Retry-After": RetryInFlight },
  429: { "Retry-After": RetryAfter },
  503: { "Retry-After": RetryAfter },
};

type ErrorResponseStatus = keyof typeof SENTENCE;

const errorResponse = (description: string, headers?: Record<string, typeof ETag>) => ({
  description,
  ...(headers === undefined ? {} : { headers }),
  content: { "application/json": { schema: ErrorResponse } },
});

/** The error responses with these statuses. */
export function errors(...statuses: ErrorResponseStatus[]) {
  return Object.fromEntries(
    statuses.map((status) => [status, errorResponse(SENTENCE[status], HEADERS[status])]),
  );
}

/** The 401 of a login needs no challenge: there is no token yet. */
export const wrongCredentials = errorResponse("No account with this email and password.", { ETag });

/** The old server sent this 404 with an ETag. */
export const lotNotFound = errorResponse("There is no such lot.", { ETag });

/** Here the response is too large, not the request. */
export const traceTooLarge = errorResponse(
  "The lot has more than 250,000 links, or its trace more than 134,217,728 bytes.",
);
