import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";
import type { HeaderLines } from "./exchange.ts";
import { headerOf } from "./header_value.ts";

/** More than this no body is inflated to, in bytes. */
const MOST_BYTES = 2_097_152;

const INFLATE = {
  gzip: gunzipSync,
  "x-gzip": gunzipSync,
  deflate: inflateSync,
  br: brotliDecompressSync,
} as const;

// A BOM is kept: to clients it is a part of the answer.
const UTF_8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A body without its content encoding; nothing when it is too large, broken or of an unknown kind. */
export function plainBytes(
  { headers, body }: { readonly headers: HeaderLines; readonly body: Uint8Array },
): Uint8Array | undefined {
  const encoding = headerOf(headers, "content-encoding")?.trim().toLowerCase() || "identity";
  if (encoding === "identity" || body.length === 0) return body;
  if (!isKnown(encoding)) return undefined;
  try {
    return INFLATE[encoding](body, { maxOutputLength: MOST_BYTES });
  } catch {
    return undefined;
  }
}

/** The same as text; nothing when it isn't UTF-8 as well. */
export function plainText(
  message: { readonly headers: HeaderLines; readonly body: Uint8Array },
): string | undefined {
  const bytes = plainBytes(message);
  try {
    return bytes && UTF_8.decode(bytes);
  } catch {
    return undefined;
  }
}

function isKnown(encoding: string): encoding is keyof typeof INFLATE {
  return Object.hasOwn(INFLATE, encoding);
}
