import { Buffer } from "node:buffer";
import {
  brotliDecompressSync,
  constants,
  gunzipSync,
  inflateRawSync,
  inflateSync,
  zstdDecompressSync,
} from "node:zlib";
import { z } from "zod";
import { type HeaderLines, headerOf } from "./exchange.ts";

/**
 * The result of removing a body's content codings. `unknown`: a coding isn't supported, or there are
 * too many; `too_large`: the decoded body would exceed the limit.
 */
export type Decoded =
  | { readonly kind: "plain"; readonly bytes: Uint8Array }
  | { readonly kind: "unknown" | "broken" | "too_large" };

const MAX_CODINGS = 4;

/** A server that compresses makes one frame. Each costs time, even an empty one. */
const MAX_ZSTD_FRAMES = 16;

/** RFC 9659: a window of 8 MB at most, so that a few bytes can't demand more memory. */
const ZSTD_WINDOW = { [constants.ZSTD_d_windowLogMax]: 23 };

/** Bytes after a stream's end. A stream whose decoder consumes some of them is truncated. */
const SENTINEL = new Uint8Array(8).fill(0xff);

/** The largest decoded body, in bytes. */
const MAX_BYTES = 2_097_152;

// A BOM stays: to clients it is a part of the response.
const UTF_8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

type Decode = (body: Uint8Array, maxOutputLength: number) => Uint8Array;

const DECODE: Readonly<Record<string, Decode>> = {
  gzip: (body, maxOutputLength) => gunzipSync(body, { maxOutputLength }),
  "x-gzip": (body, maxOutputLength) => gunzipSync(body, { maxOutputLength }),
  deflate: inflate,
  br: unbrotli,
  zstd: unzstd,
};

/** The codings of a body, in the order in which they were applied, without `identity`. */
export function contentCodings(headers: HeaderLines): string[] {
  return (headerOf(headers, "content-encoding") ?? "").split(",")
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== "" && coding !== "identity");
}

type Message = { readonly headers: HeaderLines; readonly body: Uint8Array };

/**
 * Removes a body's content codings. No step produces more than `maxBytes`; a body without codings may
 * be larger. An empty one, as in a response to HEAD and in a 304, is plain whatever its header says.
 */
export function decodedBody({ headers, body }: Message, maxBytes = MAX_BYTES): Decoded {
  const codings = contentCodings(headers);
  if (codings.length === 0 || body.length === 0) return { kind: "plain", bytes: body };
  if (codings.length > MAX_CODINGS || !codings.every((coding) => Object.hasOwn(DECODE, coding))) {
    return { kind: "unknown" };
  }
  try {
    const bytes = codings.reduceRight(
      (packed, coding) => DECODE[coding]?.(packed, maxBytes) ?? packed,
      body,
    );
    return { kind: "plain", bytes };
  } catch (error) {
    return { kind: isTooLarge(error) ? "too_large" : "broken" };
  }
}

/**
 * A body without its content codings; undefined when it is too large or malformed. A body under an
 * unknown coding is returned unchanged, as clients read it: some servers write a charset there.
 */
export function decodedBytes(message: Message): Uint8Array | undefined {
  const decoded = decodedBody(message);
  if (decoded.kind === "plain") return decoded.bytes;
  return decoded.kind === "unknown" ? message.body : undefined;
}

/** The same as text; undefined also when it isn't UTF-8. */
export function decodedText(message: Message): string | undefined {
  const bytes = decodedBytes(message);
  try {
    return bytes && UTF_8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** RFC 9110, 8.4.1.2: it has the zlib format, but some servers send bare deflate. */
function inflate(body: Uint8Array, maxOutputLength: number): Uint8Array {
  try {
    return inflateSync(body, { maxOutputLength });
  } catch (error) {
    if (isTooLarge(error)) throw error;
    return inflateRawSync(body, { maxOutputLength });
  }
}

function unbrotli(body: Uint8Array, maxOutputLength: number): Uint8Array {
  const { buffer, engine } = Output.parse(
    brotliDecompressSync(withSentinel(body), { maxOutputLength, info: true }),
  );
  if (engine.bytesWritten !== body.length) {
    throw new Error("the stream is truncated, or more bytes follow it");
  }
  return buffer;
}

function unzstd(body: Uint8Array, maxOutputLength: number): Uint8Array {
  const frames: Uint8Array[] = [];
  let length = 0;
  for (let at = 0; at < body.length;) {
    const rest = body.subarray(at);
    if (frames.length >= MAX_ZSTD_FRAMES) throw new Error("too many frames");
    const { buffer, engine } = Output.parse(zstdDecompressSync(withSentinel(rest), {
      maxOutputLength: Math.max(1, maxOutputLength - length),
      params: ZSTD_WINDOW,
      info: true,
    }));
    const { bytesWritten } = engine;
    if (bytesWritten === 0 || bytesWritten > rest.length) throw new Error("the frame is truncated");
    frames.push(buffer);
    length += buffer.length;
    at += bytesWritten;
  }
  return Buffer.concat(frames, length);
}

function withSentinel(body: Uint8Array): Uint8Array {
  return Buffer.concat([body, SENTINEL]);
}

/** The result of node:zlib with `info: true`, which its types don't describe. */
const Output = z.object({
  buffer: z.instanceof(Uint8Array),
  engine: z.object({ bytesWritten: z.number() }),
});

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE";
}
