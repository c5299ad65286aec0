import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { gzipSync } from "node:zlib";
import { ByteBuffer } from "../../byte_buffer.ts";
import { contentCodings, decodeContent } from "../exchange/content_coding.ts";
import { KEPT_HEADERS } from "../compare/compared_headers.ts";
import type { RecordedRequest } from "./recordings.ts";

/**
 * An answer as it came, but without content codings: `headers` are the kept ones, `etag` is the header's
 * value. A server that gave none (connection refused or reset, 15 s of silence, bytes that aren't the
 * gzip that they should be) has status 0 and the reason as `body`.
 */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
  etag: string | undefined;
}

const SILENCE_MS = 15_000;
const MAX_ANSWER_BYTES = 67_108_864;

/**
 * Sends a request exactly as recorded, on a connection of its own, and reads the whole answer.
 * `fetch` can't: it resolves dot segments, forbids headers, and asks for compressed answers.
 * Never rejects because of the server.
 */
export function send(base: string, request: RecordedRequest): Promise<Answer> {
  const { protocol, hostname, port } = new URL(base);
  const begin = protocol === "https:" ? httpsRequest : httpRequest;
  // An IPv6 address has brackets in a URL and none anywhere else.
  const host = hostname.replaceAll(/[[\]]/g, "");
  const body = bytesOf(request);
  const headers: Record<string, string> = { ...request.headers };
  if (body !== undefined) headers["content-length"] ??= String(body.length);
  const { method, path } = request;
  return new Promise((resolve) => {
    const none = (reason: string) =>
      resolve({ status: 0, headers: {}, body: reason, etag: undefined });
    const outgoing = begin(
      { host, port, method, path, headers, agent: false },
      (incoming) => {
        const body = new ByteBuffer(MAX_ANSWER_BYTES);
        incoming.on("data", (chunk: Uint8Array) => {
          body.append(chunk);
          if (body.isOver) incoming.destroy(new Error("an answer of more than 64 MB"));
        });
        incoming.on("error", (error) => none(error.message));
        incoming.on("end", () => {
          const coding = incoming.headers["content-encoding"];
          const decoded = decodeContent(coding, body.bytes(), MAX_ANSWER_BYTES);
          if (decoded.kind === "broken" || decoded.kind === "too_large") {
            const what = decoded.kind === "broken"
              ? "isn't"
              : "becomes more than 64 MB without its";
            return none(`an answer that ${what} ${contentCodings(coding).join(", ")}`);
          }
          // Under a coding that isn't known, clients take a body as it is.
          const bytes = decoded.kind === "plain" ? decoded.bytes : body.bytes();
          return resolve({
            status: incoming.statusCode ?? 0,
            headers: keptHeaders(incoming.headers),
            body: new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes),
            etag: incoming.headers.etag,
          });
        });
      },
    );
    outgoing.setTimeout(SILENCE_MS, () => outgoing.destroy(new Error("no answer in 15 s")));
    outgoing.on("error", (error) => none(error.message));
    if (body !== undefined) outgoing.write(body);
    outgoing.end();
  });
}

/** The request with each `{{etag n}}` replaced by the ETag of `past[n]`, or nothing without one. */
export function fillEtags(request: RecordedRequest, past: readonly Answer[]): RecordedRequest {
  const headers = Object.entries(request.headers).map(([name, value]) => [
    name,
    value.replaceAll(/\{\{etag (\d+)\}\}/g, (_, step) => past[Number(step)]?.etag ?? ""),
  ]);
  return { ...request, headers: Object.fromEntries(headers) };
}

/** The bytes of its body, as they are sent; nothing when it has none. */
export function bytesOf({ body, encoding, gzip }: RecordedRequest): Buffer | undefined {
  if (body === undefined) return undefined;
  const bytes = Buffer.from(body, encoding ?? "utf8");
  return gzip ? gzipSync(bytes) : bytes;
}

function keptHeaders(all: Record<string, string | string[] | undefined>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of KEPT_HEADERS) {
    const value = all[name];
    if (value !== undefined) kept[name] = String(value);
  }
  return kept;
}
