import { DRY_RUN_HEADER } from "../../contract/dry_run.ts";
import { BodyCapture } from "../exchange/body_capture.ts";
import {
  type CapturedRequest,
  type CapturedResponse,
  type Exchange,
  type FailureKind,
  type HeaderLines,
  headerOf,
} from "../exchange/exchange.ts";
import { connectionOptions, HOP_BY_HOP, toHeaderLines } from "../exchange/hop_by_hop.ts";
import { headText, isHeaderLine, TOKEN } from "../exchange/response_head.ts";
import { type Failure, UpstreamRequest, type UpstreamRequestListener } from "./connection.ts";
import { UpstreamPool } from "./upstream.ts";

/** A larger response is reduced to its digest. */
const MAX_CAPTURED_BYTES = 262_144;
/** A larger response is cancelled: twice Lotline's largest. */
const MAX_BYTES = 2 * 134_217_728;
/** The longest timeout of a gateway's or a command's request. */
const MAX_MS = 30_000;
/** A Node server closes an idle connection after 5 s. */
const IDLE_MS = 4_000;
const SWEEP_MS = 1_000;

export type Sender = ReturnType<typeof createSender>;

/**
 * Sends captured requests to the upstream with this base address, beside those of the clients. It opens
 * a pool of its own.
 */
export function createSender(url: string, connections: number) {
  const upstream = new UpstreamPool(url, {
    connections,
    // More than a gateway has in flight.
    waiting: 5_000,
    connectMs: MAX_MS,
    responseTimeoutMs: MAX_MS,
    idleMs: IDLE_MS,
    recentMs: IDLE_MS,
  });
  const sweeper = setInterval(() => upstream.sweep(performance.now()), SWEEP_MS);
  Deno.unrefTimer(sweeper);
  return {
    /**
     * Sends the request again. Never rejects.
     *
     * @param extra headers that replace the request's own, names in lower case
     * @param capturedBytes a larger body is reduced to its digest
     */
    async send(
      request: CapturedRequest,
      timeoutMs: number,
      extra: HeaderLines = [],
      capturedBytes = MAX_CAPTURED_BYTES,
    ): Promise<Exchange> {
      const headers = headersToSend(request, extra, upstream.authority);
      const limits = { timeoutMs, capturedBytes, maxBytes: MAX_BYTES };
      const sent = await sendWhole(upstream, { ...request, headers }, limits);
      return "failure" in sent ? { ...sent, failure: failureKindOf(sent) } : sent;
    },
    [Symbol.dispose]() {
      clearInterval(sweeper);
      upstream.close();
    },
  };
}

function failureKindOf({ failure, why }: SendFailure): FailureKind {
  if (failure === "busy" || failure === "invalid") return "not_asked";
  if (failure === "broken") return "reset";
  // An upstream that accepts a connection and resets it at once is running.
  return failure === "refused" && !why?.includes("ECONNREFUSED") ? "reset" : failure;
}

// Replaced below; the proof of a dry run is accepted from the gateway only.
const NOT_SENT = new Set(["content-length", "expect", "host", DRY_RUN_HEADER]);

function headersToSend(
  { headers, body }: CapturedRequest,
  extra: HeaderLines,
  host: string,
): HeaderLines {
  const options = connectionOptions(headerOf(headers, "connection") ?? "", undefined);
  const replaced = new Set(extra.map(([name]) => name));
  const isLeftOut = (name: string) =>
    HOP_BY_HOP.has(name) || NOT_SENT.has(name) || options?.has(name) || replaced.has(name);
  const isFramed = headers.some(([name]) => /^(?:content-length|transfer-encoding)$/i.test(name));
  return [
    ["Host", host],
    ...headers.filter(([name]) => !isLeftOut(name.toLowerCase())),
    ...extra,
    // An upstream may read the type and the coding of an empty body, and not those of none.
    ...(body.length > 0 || isFramed ? [["Content-Length", String(body.length)] as const] : []),
  ];
}

export interface SendFailure {
  /** `invalid`: the request can't be sent; `too_large`: the response has more than `maxBytes`. */
  readonly failure: Failure["kind"] | "invalid" | "too_large";
  /** The system's message, if there is one. */
  readonly why?: string;
  readonly ms: number;
}

/**
 * Sends a request unchanged, so that its headers include `Host` and the body's length, and reads its
 * complete response. On a reused connection it may be sent twice. Never rejects.
 *
 * @param limits `timeoutMs` for the complete response, besides the upstream's own limits; a body of more
 *   than `capturedBytes` is reduced to its digest, and one of more than `maxBytes` is cancelled
 */
export function sendWhole(
  pool: UpstreamPool,
  request: CapturedRequest,
  limits: { timeoutMs?: number; capturedBytes: number; maxBytes: number },
): Promise<CapturedResponse | SendFailure> {
  const { method, target, headers, body } = request;
  const began = performance.now();
  if (!canBeSent(request)) return Promise.resolve({ failure: "invalid", ms: 0 });
  const { promise, resolve } = Promise.withResolvers<CapturedResponse | SendFailure>();
  const end = (result: Omit<CapturedResponse, "ms"> | Omit<SendFailure, "ms">) => {
    clearTimeout(timer);
    resolve({ ...result, ms: performance.now() - began });
  };
  const capture = new BodyCapture(limits.capturedBytes);
  const listener: UpstreamRequestListener = {
    send(connection) {
      connection.write(headText(`${method} ${target} HTTP/1.1`, headers.flat()));
      if (body.length > 0) connection.write(body);
      connection.requestComplete();
    },
    responseContinues() {
      if (capture.bytes > limits.maxBytes) cancel("too_large");
    },
    responseEnds({ response }) {
      if (response === undefined) return;
      const { body = new Uint8Array(), digest } = capture;
      const { status, headers } = response;
      end({ status, headers: toHeaderLines(headers), body, ...(digest && { digest }) });
    },
    failed({ response }, { kind, why, wasReused }) {
      // The upstream had just closed the connection. Requests sent here have no effect, so that one may
      // be sent twice.
      if (kind === "reset" && wasReused && response === undefined) start("none");
      else end({ failure: kind, ...(why !== undefined && { why }) });
    },
  };
  let attempt: UpstreamRequest | undefined;
  const start = (connections: "any" | "none") => {
    attempt = new UpstreamRequest(pool, method, connections, listener, capture);
    pool.send(attempt);
  };
  const cancel = (failure: "timeout" | "too_large") => {
    attempt?.abort();
    end({ failure });
  };
  const { timeoutMs } = limits;
  const timer = timeoutMs === undefined
    ? undefined
    : setTimeout(() => cancel("timeout"), timeoutMs);
  start("any");
  return promise;
}

/** Whether its head has no character that would change its meaning. */
function canBeSent({ method, target, headers }: CapturedRequest): boolean {
  return TOKEN.test(method) && /^[\x21-\xff]+$/.test(target) &&
    headers.every(([name, value]) => isHeaderLine(name, value));
}
