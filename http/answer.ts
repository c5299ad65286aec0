import etag from "etag";
// The release that Express 4 has: later ones weigh If-Modified-Since differently.
import fresh from "fresh";
import type { Context } from "hono";
import type { ErrorBody } from "../errors.ts";
import { describeError, type Log } from "../log.ts";

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
  return finishJson(JSON.stringify(value));
}

/** The same for a body that is JSON already. */
export function finishJson(body: string): FinishedAnswer {
  return { body, etag: etag(body, { weak: true }) };
}

/** What {@link answer} does with a value, for one that was made ready before. */
export function answerFinished(
  c: Context,
  status: 200 | 201 | 202,
  { body, etag }: FinishedAnswer,
): Response {
  if (isFresh(c, etag)) return c.body(null, 304, { etag });
  // With headers at once, or by way of the framework, Deno would make it ready to be sent, and make it
  // anew when the envelope adds its headers: a fifth of the time of a health request.
  const response = status === 200 ? new Response(body) : new Response(body, { status });
  response.headers.set("content-type", JSON_TYPE);
  response.headers.set("etag", etag);
  return response;
}

/** One JSON document a line (https://github.com/ndjson/ndjson-spec). */
export const LINES_TYPE = "application/x-ndjson";

/** What is sent of an answer in pieces; a piece that fails breaks the connection. */
export type AnswerSource = UnderlyingDefaultSource<Uint8Array>;

/**
 * A success as lines of JSON, sent as fast as the client reads them.
 *
 * @param head the first line, which changes whenever one of the others does
 * @param rest asked for the others only when they are to be sent
 */
export function answerLines(c: Context, head: string, rest: AnswerSource, log: Log): Response {
  const tag = etag(head, { weak: true });
  if (isFresh(c, tag)) return c.body(null, 304, { etag: tag });
  const headers = { "content-type": LINES_TYPE, etag: tag };
  return c.body(new ReadableStream(loggingFailures(rest, log)), 200, headers);
}

/** The request was logged as a success when its answer began. */
function loggingFailures(source: AnswerSource, log: Log): AnswerSource {
  return {
    ...source,
    async pull(stream) {
      try {
        await source.pull?.(stream);
      } catch (error) {
        log("error", "answer_broken", { error: describeError(error) });
        throw error;
      }
    },
  };
}

function isFresh(c: Context, etag: string): boolean {
  // HEAD arrives here as GET.
  return c.req.raw.method === "GET" && fresh(conditions(c), { etag });
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
