import { Buffer } from "node:buffer";
import { headText } from "../exchange/response_head.ts";
import type { Failure } from "../upstream/connection.ts";

const REASONS = {
  400: "Bad Request",
  405: "Method Not Allowed",
  408: "Request Timeout",
  413: "Content Too Large",
  417: "Expectation Failed",
  431: "Request Header Fields Too Large",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
} as const;

/** The statuses of the gateway's own responses. */
export type ErrorResponseStatus = keyof typeof REASONS;

const NO_SERVER = [502, "No answer from the server behind this one"] as const;

/** The response to a client whose request no upstream has answered. */
export const NO_RESPONSE: Readonly<
  Record<Failure["kind"], readonly [status: ErrorResponseStatus, sentence: string]>
> = {
  refused: NO_SERVER,
  reset: NO_SERVER,
  broken: NO_SERVER,
  busy: [503, "Too busy, try again soon"],
  timeout: [504, "No answer in time"],
};

/**
 * A JSON error as both upstreams send it; `headers` are names and values in turn. Any origin may read
 * it, as with the old server.
 */
export function errorResponse(
  status: ErrorResponseStatus,
  sentence: string,
  requestId?: string,
) {
  const body = Buffer.from(JSON.stringify({ error: sentence }));
  const headers = [
    "Content-Type",
    "application/json; charset=utf-8",
    "Content-Length",
    String(body.length),
    "Access-Control-Allow-Origin",
    "*",
  ];
  if (status === 503) headers.push("Retry-After", "1");
  if (requestId !== undefined) headers.push("X-Request-Id", requestId);
  return { status, reason: REASONS[status], headers, body };
}

/** The same as bytes, for a connection that is closed after it. */
export function errorResponseBytes(status: ErrorResponseStatus, sentence: string): Buffer {
  const { reason, headers, body } = errorResponse(status, sentence);
  const head = headText(`HTTP/1.1 ${status} ${reason}`, [...headers, "Connection", "close"]);
  return Buffer.concat([Buffer.from(head, "latin1"), body]);
}
