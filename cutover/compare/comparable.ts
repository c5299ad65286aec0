import { type CapturedResponse, headerOf } from "../exchange/exchange.ts";
import { contentCodings, decodedBody, decodedText } from "../exchange/decoded_body.ts";

/** A response without its content codings, as it is compared. */
export interface DecodedResponse extends CapturedResponse {
  readonly codings: readonly string[];
  /** Why the body can't be compared: its coding is unknown, or it is too large when decoded. */
  readonly unreadable?: "coding" | "size";
}

/** Removes the content codings. A malformed body, which no client can read, is replaced by a note. */
export function decodedResponse(response: CapturedResponse | DecodedResponse): DecodedResponse {
  if ("codings" in response) return response;
  const codings = contentCodings(response.headers);
  if (codings.length === 0) return { ...response, codings };
  const headers = response.headers.filter(([name]) => name.toLowerCase() !== "content-encoding");
  const plain = { ...response, headers, codings };
  const instead = (words: string) =>
    new TextEncoder().encode(`(${response.body.length} bytes that ${words} ${codings.join(", ")})`);
  if (response.digest !== undefined) {
    const { digest: _digest, ...kept } = plain;
    return { ...kept, body: instead("were too many to be captured as"), unreadable: "size" };
  }
  const decoded = decodedBody(response);
  switch (decoded.kind) {
    case "plain":
      return { ...plain, body: decoded.bytes };
    case "unknown":
      // Clients read it unchanged.
      if (decodedText(plain) !== undefined) return plain;
      return { ...plain, body: instead("can't be read as"), unreadable: "coding" };
    case "too_large":
      return { ...plain, body: instead("become too many without"), unreadable: "size" };
    case "broken":
      return { ...plain, body: instead("aren't") };
  }
}

/**
 * Why a comparison is inconclusive: a body is unreadable, and the statuses don't decide. A trace that is
 * too large may be one that Lotline refuses with 413, as is approved.
 */
export function inconclusiveBecause(
  legacy: DecodedResponse,
  service: DecodedResponse,
): DecodedResponse["unreadable"] {
  const areAlike = legacy.status < 400 === service.status < 400;
  const isTooMuch = legacy.unreadable === "size" && service.status === 413;
  return areAlike || isTooMuch ? legacy.unreadable ?? service.unreadable : undefined;
}

/**
 * Whether compression explains that two ETags differ. It makes strong ones weak (nginx), appends the
 * coding's name (Apache, Caddy, Jetty) or drops them (nginx before 1.7.3, Apache by a setting).
 */
export function isEtagOfCoding(legacy: DecodedResponse, service: DecodedResponse): boolean {
  if (legacy.codings.length === 0 && service.codings.length === 0) return false;
  const [was, is] = [opaqueTag(legacy), opaqueTag(service)];
  if (was === undefined) return legacy.codings.length > 0;
  if (is === undefined) return service.codings.length > 0;
  return was === is;
}

function opaqueTag({ headers, codings }: DecodedResponse): string | undefined {
  const etag = headerOf(headers, "etag");
  if (etag === undefined) return undefined;
  const tag = etag.startsWith("W/") ? etag.slice(2) : etag;
  const ends = codings.flatMap((coding) => SEPARATORS.map((separator) => `${separator}${coding}"`));
  const end = ends.find((one) => tag.endsWith(one));
  return end === undefined ? tag : `${tag.slice(0, -end.length)}"`;
}

// The longer ones first.
const SEPARATORS = ["--", "-", ";", ":"];

/** An error page without its stack frames and without the JSON parser's message. */
export function withoutFrames(body: string): string {
  return body.replaceAll(/(?:<br> &nbsp; &nbsp;at [^<]*)+/g, "")
    .replaceAll(/<pre>(\w+Error): [^<]*/g, "<pre>$1: …");
}
