import { gzipSync } from "node:zlib";
import { COMPARED_HEADERS } from "../compare/compared_headers.ts";
import { contentCodings, decodedBody } from "../exchange/decoded_body.ts";
import { type CapturedResponse, type HeaderLines, headerOf } from "../exchange/exchange.ts";
import { type SendFailure, sendWhole } from "../upstream/send.ts";
import { UpstreamPool } from "../upstream/upstream.ts";
import { withoutFrames } from "../compare/comparable.ts";
import type { RecordedRequest, RecordedResponse } from "./recordings.ts";

/**
 * A response without content codings: `headers` are the compared ones, `etag` is the header's value.
 * Without a response (connection refused or reset, no response in 15 s, a body that can't be decoded)
 * the status is 0 and `body` is the reason.
 */
export type ReceivedResponse = Omit<RecordedResponse, "etag"> & { etag: string | undefined };

const RESPONSE_TIMEOUT_MS = 15_000;
const SWEEP_MS = 250;
const MAX_RESPONSE_BYTES = 67_108_864;

/**
 * Sends a request exactly as recorded, on a connection of its own, and reads the whole response.
 * Never rejects because of the server.
 */
export async function send(base: string, request: RecordedRequest): Promise<ReceivedResponse> {
  const upstream = new UpstreamPool(base, {
    connections: 1,
    waiting: 0,
    connectMs: RESPONSE_TIMEOUT_MS,
    responseTimeoutMs: RESPONSE_TIMEOUT_MS,
    idleMs: 0,
    recentMs: 0,
  });
  const sweeper = setInterval(() => upstream.sweep(performance.now()), SWEEP_MS);
  try {
    const { method, path: target } = request;
    const body = bytesOf(request);
    const headers = headersOf(request, body, upstream.authority);
    const sent = await sendWhole(
      upstream,
      { method, target, headers, body: body ?? new Uint8Array() },
      { capturedBytes: MAX_RESPONSE_BYTES, maxBytes: MAX_RESPONSE_BYTES },
    );
    return "failure" in sent ? none(sent.why ?? REASONS[sent.failure]) : responseOf(sent);
  } finally {
    clearInterval(sweeper);
    upstream.close();
  }
}

/** The request with each `{{etag n}}` replaced by the ETag of `past[n]`; without an ETag it is empty. */
export function fillEtags(
  request: RecordedRequest,
  past: readonly ReceivedResponse[],
): RecordedRequest {
  const headers = Object.entries(request.headers).map(([name, value]) => [
    name,
    value.replaceAll(/\{\{etag (\d+)\}\}/g, (_, step) => past[Number(step)]?.etag ?? ""),
  ]);
  return { ...request, headers: Object.fromEntries(headers) };
}

/** A response as it is recorded. */
export function recordedResponse(
  { status, headers, body, etag }: ReceivedResponse,
): RecordedResponse {
  const response = { status, headers, body: withoutFrames(body) };
  return etag === undefined ? response : { ...response, etag: true };
}

/** The bytes of its body as they are sent; undefined without a body. */
export function bytesOf({ body, encoding, gzip }: RecordedRequest): Buffer | undefined {
  if (body === undefined) return undefined;
  const bytes = Buffer.from(body, encoding ?? "utf8");
  return gzip ? gzipSync(bytes) : bytes;
}

/** The recorded headers; `Content-Length`, `Host` and `Connection` are added where none is recorded. */
function headersOf(
  { method, headers }: RecordedRequest,
  body: Uint8Array | undefined,
  host: string,
): HeaderLines {
  const recorded = Object.entries(headers);
  const has = (name: string) => headerOf(recorded, name) !== undefined;
  const isFramed = has("content-length") || (body === undefined && has("transfer-encoding"));
  const hasBody = body !== undefined || !WITHOUT_BODY.has(method);
  return [
    ...recorded,
    ...(isFramed || !hasBody ? [] : [["Content-Length", String(body?.length ?? 0)] as const]),
    ...(has("host") ? [] : [["Host", host] as const]),
    ...(has("connection") ? [] : [["Connection", "close"] as const]),
  ];
}

/** Methods whose requests have no length unless they have a body (RFC 9110, 8.6). */
const WITHOUT_BODY = new Set(["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"]);

function responseOf({ status, headers, body }: CapturedResponse): ReceivedResponse {
  const decoded = decodedBody({ headers, body }, MAX_RESPONSE_BYTES);
  if (decoded.kind === "broken" || decoded.kind === "too_large") {
    const what = decoded.kind === "broken" ? "isn't" : "becomes more than 64 MB without its";
    return none(`a response that ${what} ${contentCodings(headers).join(", ")}`);
  }
  // Clients keep a body in an unknown coding as it is.
  const bytes = decoded.kind === "plain" ? decoded.bytes : body;
  const compared = COMPARED_HEADERS.map((name) => [name, headerOf(headers, name)] as const);
  return {
    status,
    headers: Object.fromEntries(
      compared.flatMap(([name, value]) => value === undefined ? [] : [[name, value]]),
    ),
    body: new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes),
    etag: headerOf(headers, "etag"),
  };
}

function none(reason: string): ReceivedResponse {
  return { status: 0, headers: {}, body: reason, etag: undefined };
}

const REASONS: Readonly<Record<SendFailure["failure"], string>> = {
  refused: "the connection was refused",
  reset: "the connection was closed before the response was complete",
  broken: "the bytes are no HTTP/1.1 response",
  timeout: "no response in 15 s",
  too_large: "a response of more than 64 MB",
  busy: "no connection was free",
  invalid: "a request that can't be written in HTTP/1.1",
};
