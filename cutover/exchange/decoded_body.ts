import { decodeContent, type Decoded } from "./content_coding.ts";
import { type HeaderLines, headerOf } from "./exchange.ts";

/** The largest decoded body, in bytes. */
const MAX_BYTES = 2_097_152;

// A BOM stays: to clients it is a part of the response.
const UTF_8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

type Message = { readonly headers: HeaderLines; readonly body: Uint8Array };

/** A body without its content codings, or why they can't be removed. */
export function decodedBody({ headers, body }: Message): Decoded {
  return decodeContent(headerOf(headers, "content-encoding"), body, MAX_BYTES);
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
