import etag from "etag";
// The release that Express 4 has: later ones weigh If-Modified-Since differently.
import fresh from "fresh";
import type { Context } from "hono";
import type { ErrorBody } from "../errors.ts";

const JSON_TYPE = "application/json; charset=utf-8";

/**
 * A success as JSON with the weak ETag that the old server would have sent: same library, same
 * bytes, so a client's validators stay good when its requests move from one server to the other.
 * GET and HEAD with a matching `If-None-Match` get 304.
 */
export function answer(c: Context, status: 200 | 201 | 202, value: object): Response {
  return answerFinished(c, status, finish(value));
}

/** A success, ready to be sent. */
export interface FinishedAnswer {
  readonly body: string;
  readonly etag: string;
}

/** Makes a success ready to be sent. */
export function finish(value: object): FinishedAnswer {
  const body = JSON.stringify(value);
  return { body, etag: etag(body, { weak: true }) };
}

/** What {@link answer} does with a value, for one that was made ready before. */
export function answerFinished(
  c: Context,
  status: 200 | 201 | 202,
  { body, etag }: FinishedAnswer,
): Response {
  // HEAD arrives here as GET.
  if (c.req.raw.method === "GET" && fresh(conditions(c), { etag })) {
    return c.body(null, 304, { etag });
  }
  return c.body(body, status, { "content-type": JSON_TYPE, etag });
}

/** Anything but a success, as JSON. */
export function answerError(
  status: number,
  body: ErrorBody,
  headers: Readonly<Record<string, string>>,
): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { ...headers, "content-type": JSON_TYPE },
  });
}

function conditions(c: Context): Record<string, string | undefined> {
  return {
    "if-none-match": c.req.header("if-none-match"),
    "if-modified-since": c.req.header("if-modified-since"),
    "cache-control": c.req.header("cache-control"),
  };
}
