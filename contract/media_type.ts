import contentType from "content-type";
// The package that tells body-parser of Express 4 which bodies are JSON; it comes without types.
// @ts-types="./media_typer.d.ts"
import * as mediaTyper from "media-typer";

/** What `Content-Type` says of a body. */
export interface MediaType {
  /** In lower case. */
  readonly name: string;
  /** In lower case. */
  readonly charset: string | undefined;
}

/** No client writes a longer type; of one, only that it isn't JSON is known. */
const MAX_MEDIA_TYPE = 8_192;

/** A media type as the old server's body layer reads it; nothing when it is none. */
export function parseMediaType(header: string | null | undefined): MediaType | undefined {
  if (!header || header.length > MAX_MEDIA_TYPE) return undefined;
  try {
    const { type, subtype, suffix } = mediaTyper.parse(header);
    const name = suffix === undefined ? `${type}/${subtype}` : `${type}/${subtype}+${suffix}`;
    return { name, charset: charsetOf(header) };
  } catch {
    return undefined;
  }
}

function charsetOf(header: string): string | undefined {
  try {
    // The release that body-parser brought with Express 4: later ones let through what it refused.
    return contentType.parse(header).parameters.charset?.toLowerCase();
  } catch {
    return undefined;
  }
}
