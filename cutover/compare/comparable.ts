import { contentCodings } from "../exchange/content_coding.ts";
import type { CapturedResponse } from "../exchange/exchange.ts";
import { headerOf } from "../exchange/header_value.ts";
import { decodedBody, decodedText } from "../exchange/decoded_body.ts";

/** An answer as it is compared: its body without content codings. */
export interface DecodedResponse extends CapturedResponse {
  /** The codings that the body had, in lower case. */
  readonly codings: readonly string[];
  /**
   * Why nobody can tell what the body says, so that it can't be compared: its coding isn't known, or it
   * is too large without it.
   */
  readonly notRead?: "coding" | "size";
}

/**
 * Frees an answer of its content codings. A body that is broken says so in the place of its bytes: no
 * client could read it.
 */
export function decodedResponse(response: CapturedResponse | DecodedResponse): DecodedResponse {
  if ("codings" in response) return response;
  const codings = contentCodings(headerOf(response.headers, "content-encoding"));
  if (codings.length === 0) return { ...response, codings };
  const headers = response.headers.filter(([name]) => name.toLowerCase() !== "content-encoding");
  const plain = { ...response, headers, codings };
  const instead = (words: string) =>
    new TextEncoder().encode(`(${response.body.length} bytes that ${words} ${codings.join(", ")})`);
  if (response.digest !== undefined) {
    const { digest: _digest, ...kept } = plain;
    return { ...kept, body: instead("were too many to be kept as"), notRead: "size" };
  }
  const decoded = decodedBody(response);
  switch (decoded.kind) {
    case "plain":
      return { ...plain, body: decoded.bytes };
    case "unknown":
      // Clients take it as it is.
      if (isUtf8(response.body)) return plain;
      return { ...plain, body: instead("can't be read as"), notRead: "coding" };
    case "too_large":
      return { ...plain, body: instead("become too many without"), notRead: "size" };
    case "broken":
      return { ...plain, body: instead("aren't") };
  }
}

/**
 * Why it is left open whether two answers differ: one can't be read, and their statuses say no more. A
 * trace that is too large may be one that Lotline answers with 413, as is approved.
 */
export function openBecause(
  legacy: DecodedResponse,
  service: DecodedResponse,
): DecodedResponse["notRead"] {
  const areAlike = legacy.status < 400 === service.status < 400;
  const isTooMuch = legacy.notRead === "size" && service.status === 413;
  return areAlike || isTooMuch ? legacy.notRead ?? service.notRead : undefined;
}

function isUtf8(body: Uint8Array): boolean {
  return decodedText({ headers: [], body }) !== undefined;
}

/**
 * Whether compressing explains that two ETags aren't the same. It makes strong ones weak (nginx), adds
 * a coding's name (Apache, Caddy, Jetty) or drops them (nginx before 1.7.3, Apache by a setting).
 */
export function isEtagOfCoding(legacy: DecodedResponse, service: DecodedResponse): boolean {
  if (legacy.codings.length === 0 && service.codings.length === 0) return false;
  const [was, is] = [opaqueTag(legacy), opaqueTag(service)];
  if (was === undefined) return legacy.codings.length > 0;
  if (is === undefined) return service.codings.length > 0;
  return was === is;
}

/** An answer's ETag without its weakness and what compressing added; nothing without one. */
function opaqueTag({ headers, codings }: DecodedResponse): string | undefined {
  const etag = headerOf(headers, "etag");
  if (etag === undefined) return undefined;
  const tag = etag.startsWith("W/") ? etag.slice(2) : etag;
  const ends = codings.flatMap((coding) => SIGNS.map((sign) => `${sign}${coding}"`));
  const end = ends.find((one) => tag.endsWith(one));
  return end === undefined ? tag : `${tag.slice(0, -end.length)}"`;
}

// The longer ones first.
const SIGNS = ["--", "-", ";", ":"];
