import { decodeContent, type Decoded } from "./content_coding.ts";
import type { HeaderLines } from "./exchange.ts";
import { headerOf } from "./header_value.ts";

/** More than this no body is inflated to, in bytes. */
const MAX_BYTES = 2_097_152;

// A BOM is kept: to clients it is a part of the answer.
const UTF_8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

type Message = { readonly headers: HeaderLines; readonly body: Uint8Array };

/** A body freed of its content codings, or what stands in the way. */
export function decodedBody({ headers, body }: Message): Decoded {
  return decodeContent(headerOf(headers, "content-encoding"), body, MAX_BYTES);
}

/**
 * A body without its content codings; nothing when it is too large or broken. Under a coding that
 * isn't known it is as it came: clients take it so, and some servers write a charset there.
 */
export function decodedBytes(message: Message): Uint8Array | undefined {
  const decoded = decodedBody(message);
  if (decoded.kind === "plain") return decoded.bytes;
  return decoded.kind === "unknown" ? message.body : undefined;
}

/** The same as text; nothing when it isn't UTF-8 as well. */
export function decodedText(message: Message): string | undefined {
  const bytes = decodedBytes(message);
  try {
    return bytes && UTF_8.decode(bytes);
  } catch {
    return undefined;
  }
}
