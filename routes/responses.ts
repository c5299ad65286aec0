import { createRoute, z } from "@hono/zod-openapi";
import type { ErrorBody } from "../errors.ts";
import { IdempotencyHeaders } from "./idempotency_key.ts";

/*
 * The documented responses. The document that the routes generate is only compared with
 * `openapi.yaml`, which alone has the prose.
 */

const ErrorDetail = z.strictObject({ path: z.string(), message: z.string() })
  .openapi("ErrorDetail");

export const ErrorResponse = z.strictObject({
  error: z.string().min(1),
  details: z.array(ErrorDetail).optional(),
}).openapi("ErrorResponse") satisfies z.ZodType<ErrorBody>;

type Header = ReturnType<typeof header>;

const header = (schema: Record<string, unknown> = {}, required = true) => ({
  required,
  schema: { type: "string" as const, ...schema },
});

const json = (schema: z.ZodType, headers?: Record<string, Header>) => ({
  description: "",
  headers,
  content: { "application/json": { schema } },
});

const ETag = header({ pattern: '^W/"' });
const SECONDS = { pattern: "^[0-9]+$" };

export const success = (schema: z.ZodType) => json(schema, { ETag });

/** Accepted work: its state now, and its URL. */
export const accepted = (schema: z.ZodType, path: string) =>
  json(schema, { ETag, Location: header({ pattern: `^${path}/` }) });

/** A success that a repetition with the same Idempotency-Key gets again. */
export const repeatable = <A extends { readonly headers?: Record<string, Header> }>(
  response: A,
) => ({
  ...response,
  description: "",
  headers: { ...response.headers, "Idempotency-Replayed": header({ enum: ["true"] }, false) },
});

const HEADERS: Record<number, Record<string, Header>> = {
  401: { "WWW-Authenticate": header({ pattern: "^Bearer " }) },
  405: { Allow: header() },
  // Only while the first request with this Idempotency-Key is in flight.
  409: { "Retry-After": header(SECONDS, false) },
  429: { "Retry-After": header(SECONDS) },
  503: { "Retry-After": header(SECONDS) },
};

/** The error responses with these statuses. */
export const errors = (...statuses: number[]) =>
  Object.fromEntries(statuses.map((status) => [status, json(ErrorResponse, HEADERS[status])]));

/** The old server sent these with an ETag; the 401 of a login needs no challenge. */
export const errorWithETag = json(ErrorResponse, { ETag });

type Route = Parameters<typeof createRoute>[0];

/**
 * Documents a read.
 *
 * @param ok the response 200
 * @param options the request, and responses that not every read has
 */
export const readRoute = (
  operationId: string,
  path: string,
  ok: Route["responses"][string],
  { request, responses }: Partial<Pick<Route, "request" | "responses">> = {},
) =>
  createRoute({
    operationId,
    method: "get",
    path,
    request,
    responses: {
      200: ok,
      304: { description: "", headers: { ETag } },
      ...errors(405, 500, 503),
      ...responses,
    },
  });

/**
 * Documents a write with a JSON body that a client may repeat.
 *
 * @param responses those that not every write has
 * @param required whether there must be a body
 */
export const writeRoute = (
  operationId: string,
  path: string,
  schema: z.ZodType,
  responses: Route["responses"],
  required = true,
) =>
  createRoute({
    operationId,
    method: "post",
    path,
    request: {
      headers: IdempotencyHeaders,
      body: { required, content: { "application/json": { schema } } },
    },
    responses: {
      ...errors(400, 401, 403, 405, 408, 409, 413, 415, 422, 500, 503),
      ...responses,
    },
  });
