import etag from "etag";
// The release of Express 4: later ones treat If-Modified-Since differently.
import fresh from "fresh";
import type { Context } from "hono";
import type { ApiError, ErrorCode } from "../errors.ts";
import type { RequestContext } from "./operation.ts";
import { describeError, type Log } from "../log.ts";

const JSON_TYPE = "application/json; charset=utf-8";

/**
 * A success as JSON with the weak ETag of the old server: same library, same bytes. So a client's
 * validators stay valid when its requests move to the other server. GET and HEAD with a matching
 * `If-None-Match` get 304.
 */
export function respond(c: Context, status: 200 | 201 | 202, value: object): Response {
  return respondFinished(c, status, finish(JSON.stringify(value)));
}

/** A serialized success. */
export interface FinishedResponse {
  readonly body: string;
  readonly etag: string;
}

/** @param body JSON */
export function finish(body: string): FinishedResponse {
  return { body, etag: etag(body, { weak: true }) };
}

/** {@link respond} for a serialized value. */
export function respondFinished(
  c: Context,
  status: 200 | 201 | 202,
  { body, etag }: FinishedResponse,
): Response {
  if (isFresh(c, etag)) return c.body(null, 304, { etag });
  // Headers are set afterwards. Given to the constructor, or set through Hono, they make Deno build
  // the response twice: a fifth of the time of a health request.
  const response = status === 200 ? new Response(body) : new Response(body, { status });
  response.headers.set("content-type", JSON_TYPE);
  response.headers.set("etag", etag);
  return response;
}

/** One JSON document per line (https://github.com/ndjson/ndjson-spec). */
export const LINES_TYPE = "application/x-ndjson";

/** A success that is too large for one string: blocks that stay in memory until it is disposed. */
export interface HeldResponse extends Disposable {
  readonly etag: string;
  readonly bytes: number;
  readonly blocks: readonly Uint8Array[];
}

/**
 * Sends a success as JSON block by block, as fast as the client reads, and releases it then. A
 * client that is too slow is disconnected: others wait for the memory.
 *
 * @param times for the next block and for all of them, in ms
 */
export function respondHeld(
  c: RequestContext,
  held: HeldResponse,
  log: Log,
  { stallMs = 15_000, wholeMs = 120_000 } = {},
): Response {
  const { etag, bytes } = held;
  if (isFresh(c, etag)) {
    held[Symbol.dispose]();
    return c.body(null, 304, { etag });
  }
  // Deno reads nothing of a stream for HEAD, and cancels it only when the connection ends.
  if (c.env.isHead) held[Symbol.dispose]();
  const body = c.env.isHead ? null : new ReadableStream(sendHeld(held, log, stallMs, wholeMs));
  const response = new Response(body);
  response.headers.set("content-type", JSON_TYPE);
  response.headers.set("content-length", String(bytes));
  response.headers.set("etag", etag);
  return response;
}

function sendHeld(
  held: HeldResponse,
  log: Log,
  stallMs: number,
  wholeMs: number,
): UnderlyingDefaultSource<Uint8Array> {
  const until = performance.now() + wholeMs;
  let sent = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = () => {
    clearTimeout(timer);
    held[Symbol.dispose]();
  };
  const watch = (stream: ReadableStreamDefaultController<Uint8Array>) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      end();
      log("warn", "response_cut", { sent, blocks: held.blocks.length });
      stream.error(new Error("the client was too slow to read the response"));
    }, Math.min(stallMs, until - performance.now()));
  };
  return {
    start: (stream) => watch(stream),
    pull(stream) {
      const block = held.blocks[sent++];
      if (block !== undefined) stream.enqueue(block);
      if (sent < held.blocks.length) return watch(stream);
      end();
      stream.close();
    },
    cancel: end,
  };
}

/**
 * A success as lines of JSON, sent as fast as the client reads: nothing is read ahead.
 *
 * @param head the first line, which changes whenever another line changes
 * @param lines all lines, the first one included
 */
export function respondLines(
  c: Context,
  head: string,
  lines: AsyncIterable<string>,
  log: Log,
): Response {
  const tag = etag(head, { weak: true });
  if (isFresh(c, tag)) return c.body(null, 304, { etag: tag });
  const headers = { "content-type": LINES_TYPE, etag: tag };
  return c.body(ReadableStream.from(encoded(lines, log)), 200, headers);
}

/** An error breaks the connection; the request's log line already reports a success. */
async function* encoded(lines: AsyncIterable<string>, log: Log) {
  const encoder = new TextEncoder();
  try {
    for await (const text of lines) yield encoder.encode(text);
  } catch (error) {
    log("error", "response_broken", { error: describeError(error) });
    throw error;
  }
}

function isFresh(c: Context, etag: string): boolean {
  // HEAD arrives here as GET.
  return c.req.raw.method === "GET" && fresh({
    "if-none-match": c.req.header("if-none-match"),
    "if-modified-since": c.req.header("if-modified-since"),
    "cache-control": c.req.header("cache-control"),
  }, { etag });
}

/** The old server sent these errors with the same sentences and an ETag. */
const WITH_ETAG: ReadonlySet<ErrorCode> = new Set([
  "lot_not_found",
  "user_not_found",
  "wrong_credentials",
]);

export function errorResponse({ code, status, body, headers }: ApiError): Response {
  const text = JSON.stringify(body);
  const response = new Response(text, {
    status,
    headers: { ...headers, "content-type": JSON_TYPE },
  });
  if (WITH_ETAG.has(code)) response.headers.set("etag", etag(text, { weak: true }));
  return response;
}
