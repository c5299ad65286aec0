import {
  brotliDecompressSync,
  constants,
  gunzipSync,
  inflateRawSync,
  inflateSync,
  zstdDecompressSync,
} from "node:zlib";

/**
 * What became of a body that was freed of its content codings. `unknown`: by name, or since there are
 * more of them than four; `too_large`: it would have more bytes than were allowed.
 */
export type Decoded =
  | { readonly kind: "plain"; readonly bytes: Uint8Array }
  | { readonly kind: "unknown" | "broken" | "too_large" };

/** Nobody has a use for more, and each takes time. */
const MAX_CODINGS = 4;

/** A server that compresses makes one frame; each takes time, even an empty one. */
const MAX_ZSTD_FRAMES = 16;

/** RFC 9659: a window of 8 MB at most, so that nobody needs more memory for a few bytes. */
const ZSTD_WINDOW = { [constants.ZSTD_d_windowLogMax]: 23 };

/** Bytes that stand after a stream's end. A stream that takes some of them as its own was cut. */
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
 * Frees a body of its content codings. No step makes more than `maxBytes`; a body without codings may
 * have more. One without bytes, such as the answer to HEAD and 304, is plain whatever its header says.
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

/** RFC 9110, 8.4.1.2: it has the zlib format, but some send bare deflate under its name. */
function inflate(body: Uint8Array, maxOutputLength: number): Uint8Array {
  try {
    return inflateSync(body, { maxOutputLength });
  } catch (error) {
    if (isTooLarge(error)) throw error;
    return inflateRawSync(body, { maxOutputLength });
  }
}

function unbrotli(body: Uint8Array, maxOutputLength: number): Uint8Array {
  const { bytes, taken } = outputOf(
    brotliDecompressSync(withSentinel(body), { maxOutputLength, info: true }),
  );
  if (taken !== body.length) throw new Error("the stream is cut, or something follows it");
  return bytes;
}

function unzstd(body: Uint8Array, maxOutputLength: number): Uint8Array {
  const frames: Uint8Array[] = [];
  let length = 0;
  for (let at = 0; at < body.length;) {
    const rest = body.subarray(at);
    if (frames.length >= MAX_ZSTD_FRAMES) throw new Error("too many frames");
    const { bytes, taken } = outputOf(zstdDecompressSync(withSentinel(rest), {
      maxOutputLength: Math.max(1, maxOutputLength - length),
      params: ZSTD_WINDOW,
      info: true,
    }));
    if (taken === 0 || taken > rest.length) throw new Error("the frame is cut");
    frames.push(bytes);
    length += bytes.length;
    at += taken;
  }
  const [first = new Uint8Array()] = frames;
  if (frames.length <= 1) return first;
  const all = new Uint8Array(length);
  frames.reduce((at, frame) => {
    all.set(frame, at);
    return at + frame.length;
  }, 0);
  return all;
}

function withSentinel(body: Uint8Array): Uint8Array {
  const longer = new Uint8Array(body.length + SENTINEL.length);
  longer.set(body);
  longer.set(SENTINEL, body.length);
  return longer;
}

/** What `info: true` makes of an answer of node:zlib, which its types don't tell. */
function outputOf(result: unknown): { readonly bytes: Uint8Array; readonly taken: number } {
  if (typeof result === "object" && result !== null && "buffer" in result && "engine" in result) {
    const { buffer: bytes, engine } = result;
    const hasCount = typeof engine === "object" && engine !== null && "bytesWritten" in engine;
    const taken = hasCount ? engine.bytesWritten : undefined;
    if (bytes instanceof Uint8Array && typeof taken === "number") return { bytes, taken };
  }
  throw new Error("node:zlib doesn't say how much it took");
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE";
}
