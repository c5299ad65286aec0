import contentType from "content-type";
// body-parser of Express 4 uses this package, which has no types.
import * as mediaTyper from "media-typer";

export interface MediaType {
  /** In lower case. */
  readonly name: string;
  /** In lower case. */
  readonly charset: string | undefined;
}

/** A longer type counts as unknown. */
const MAX_MEDIA_TYPE = 8_192;

/** Parses a media type as the old server did; undefined when it is invalid. */
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
    // The release that came with body-parser of Express 4: later ones accept what it refused.
    return contentType.parse(header).parameters.charset?.toLowerCase();
  } catch {
    return undefined;
  }
}
