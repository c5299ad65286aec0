import { Buffer } from "node:buffer";
import {
  brotliDecompressSync,
  constants,
  gunzipSync,
  inflateRawSync,
  inflateSync,
  zstdDecompressSync,
} from "node:zlib";

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

type Decode = (body: Uint8Array, maxOutputLength: number) => Uint8Array;

const DECODE: Readonly<Record<string, Decode>> = {
  gzip: (body, maxOutputLength) => gunzipSync(body, { maxOutputLength }),
  "x-gzip": (body, maxOutputLength) => gunzipSync(body, { maxOutputLength }),
  deflate: inflate,
  br: unbrotli,
  zstd: unzstd,
};

/** The codings of a `Content-Encoding`, in the order in which they were applied, without `identity`. */
export function contentCodings(header: string | undefined): string[] {
  return (header ?? "").split(",").map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== "" && coding !== "identity");
}

/**
 * Removes a body's content codings. No step produces more than `maxBytes`; a body without codings may
 * be larger. An empty one, as in a response to HEAD and in a 304, is plain whatever its header says.
 */
export function decodeContent(
  header: string | undefined,
  body: Uint8Array,
  maxBytes: number,
): Decoded {
  const codings = contentCodings(header);
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
  const { bytes, consumed } = outputOf(
    brotliDecompressSync(withSentinel(body), { maxOutputLength, info: true }),
  );
  if (consumed !== body.length) throw new Error("the stream is truncated, or more bytes follow it");
  return bytes;
}

function unzstd(body: Uint8Array, maxOutputLength: number): Uint8Array {
  const frames: Uint8Array[] = [];
  let length = 0;
  for (let at = 0; at < body.length;) {
    const rest = body.subarray(at);
    if (frames.length >= MAX_ZSTD_FRAMES) throw new Error("too many frames");
    const { bytes, consumed } = outputOf(zstdDecompressSync(withSentinel(rest), {
      maxOutputLength: Math.max(1, maxOutputLength - length),
      params: ZSTD_WINDOW,
      info: true,
    }));
    if (consumed === 0 || consumed > rest.length) throw new Error("the frame is truncated");
    frames.push(bytes);
    length += bytes.length;
    at += consumed;
  }
  return Buffer.concat(frames, length);
}

function withSentinel(body: Uint8Array): Uint8Array {
  return Buffer.concat([body, SENTINEL]);
}

/** The result of node:zlib with `info: true`, which its types don't describe. */
function outputOf(result: unknown): { readonly bytes: Uint8Array; readonly consumed: number } {
  if (typeof result === "object" && result !== null && "buffer" in result && "engine" in result) {
    const { buffer: bytes, engine } = result;
    const hasCount = typeof engine === "object" && engine !== null && "bytesWritten" in engine;
    const consumed = hasCount ? engine.bytesWritten : undefined;
    if (bytes instanceof Uint8Array && typeof consumed === "number") return { bytes, consumed };
  }
  throw new Error("node:zlib doesn't report how many bytes it consumed");
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE";
}
