import etag from "etag";
// The release that Express 4 has: later ones weigh If-Modified-Since differently.
import fresh from "fresh";
import type { Context } from "hono";
import type { ApiError, ErrorCode } from "../errors.ts";
import type { RequestContext } from "./operation.ts";
import { describeError, type Log } from "../log.ts";

const JSON_TYPE = "application/json; charset=utf-8";

/**
 * A success as JSON with the weak ETag that the old server would have sent: same library, same
 * bytes, so a client's validators stay good when its requests move from one server to the other.
 * GET and HEAD with a matching `If-None-Match` get 304.
 */
export function respond(c: Context, status: 200 | 201 | 202, value: object): Response {
  return respondFinished(c, status, finish(value));
}

/** A success, ready to be sent. */
export interface FinishedResponse {
  readonly body: string;
  readonly etag: string;
}

/** Makes a success ready to be sent. */
export function finish(value: object): FinishedResponse {
  return finishJson(JSON.stringify(value));
}

/** The same for a body that is JSON already. */
export function finishJson(body: string): FinishedResponse {
  return { body, etag: etag(body, { weak: true }) };
}

/** What {@link respond} does with a value, for one that was made ready before. */
export function respondFinished(
  c: Context,
  status: 200 | 201 | 202,
  { body, etag }: FinishedResponse,
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

/** A success that is too large to be one text: its blocks, in memory until it is disposed of. */
export interface HeldResponse extends Disposable {
  readonly etag: string;
  readonly bytes: number;
  readonly blocks: readonly Uint8Array[];
}

/** How long a client may take to read an answer that is held in memory, in ms. */
export interface SendLimits {
  /** For the next block. */
  readonly stallMs: number;
  /** For all. */
  readonly wholeMs: number;
}

const SEND_LIMITS: SendLimits = { stallMs: 15_000, wholeMs: 120_000 };

/**
 * A success as JSON, sent block by block as fast as the client reads it, and released then. A client
 * that is too slow is cut off: others wait for the memory.
 */
export function respondHeld(
  c: RequestContext,
  respond: HeldResponse,
  log: Log,
  limits: SendLimits = SEND_LIMITS,
): Response {
  const { etag, bytes } = respond;
  if (isFresh(c, etag)) {
    respond[Symbol.dispose]();
    return c.body(null, 304, { etag });
  }
  // Deno takes nothing of a stream for HEAD, and cancels it only when the connection ends.
  if (c.env.isHead) respond[Symbol.dispose]();
  const response = new Response(
    c.env.isHead ? null : new ReadableStream(sendHeld(respond, log, limits)),
  );
  response.headers.set("content-type", JSON_TYPE);
  response.headers.set("content-length", String(bytes));
  response.headers.set("etag", etag);
  return response;
}

function sendHeld(
  respond: HeldResponse,
  log: Log,
  { stallMs, wholeMs }: SendLimits,
): ResponseSource {
  const until = performance.now() + wholeMs;
  let sent = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = () => {
    clearTimeout(timer);
    respond[Symbol.dispose]();
  };
  const watch = (stream: ReadableStreamDefaultController<Uint8Array>) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      end();
      log("warn", "response_cut", { sent, blocks: respond.blocks.length });
      stream.error(new Error("the client was too slow to read its answer"));
    }, Math.min(stallMs, until - performance.now()));
  };
  return {
    start: (stream) => watch(stream),
    pull(stream) {
      const block = respond.blocks[sent++];
      if (block !== undefined) stream.enqueue(block);
      if (sent < respond.blocks.length) return watch(stream);
      end();
      stream.close();
    },
    cancel: end,
  };
}

/** What is sent of an answer in pieces; a piece that fails breaks the connection. */
export type ResponseSource = UnderlyingDefaultSource<Uint8Array>;

/**
 * A success as lines of JSON, sent as fast as the client reads them.
 *
 * @param head the first line, which changes whenever one of the others does
 * @param rest asked for the others only when they are to be sent
 */
export function respondLines(c: Context, head: string, rest: ResponseSource, log: Log): Response {
  const tag = etag(head, { weak: true });
  if (isFresh(c, tag)) return c.body(null, 304, { etag: tag });
  const headers = { "content-type": LINES_TYPE, etag: tag };
  return c.body(new ReadableStream(loggingFailures(rest, log)), 200, headers);
}

/** The request was logged as a success when its answer began. */
function loggingFailures(source: ResponseSource, log: Log): ResponseSource {
  return {
    ...source,
    async pull(stream) {
      try {
        await source.pull?.(stream);
      } catch (error) {
        log("error", "response_broken", { error: describeError(error) });
        throw error;
      }
    },
  };
}

function isFresh(c: Context, etag: string): boolean {
  // HEAD arrives here as GET.
  return c.req.raw.method === "GET" && fresh(conditions(c), { etag });
}

/** The errors that the old server answered in the same words: it put its ETag on them too. */
const WITH_ETAG: ReadonlySet<ErrorCode> = new Set([
  "lot_not_found",
  "user_not_found",
  "wrong_credentials",
]);

/** Anything but a success, as JSON. */
export function errorResponse({ code, status, body, headers }: ApiError): Response {
  const text = JSON.stringify(body);
  const response = new Response(text, {
    status,
    headers: { ...headers, "content-type": JSON_TYPE },
  });
  if (WITH_ETAG.has(code)) response.headers.set("etag", etag(text, { weak: true }));
  return response;
}

function conditions(c: Context): Record<string, string | undefined> {
  return {
    "if-none-match": c.req.header("if-none-match"),
    "if-modified-since": c.req.header("if-modified-since"),
    "cache-control": c.req.header("cache-control"),
  };
}
