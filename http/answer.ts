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
  const body = JSON.stringify(value);
  const tag = etag(body, { weak: true });
  // HEAD arrives here as GET.
  if (c.req.raw.method === "GET" && fresh(conditions(c), { etag: tag })) {
    return c.body(null, 304, { etag: tag });
  }
  return c.body(body, status, { "content-type": JSON_TYPE, etag: tag });
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
