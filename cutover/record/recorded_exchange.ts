import { Buffer } from "node:buffer";
import { parseJson } from "../../json.ts";
import { withoutFrames } from "../compare/comparable.ts";
import { COMPARED_HEADERS } from "../compare/compared_headers.ts";
import {
  type CapturedRequest,
  type CapturedResponse,
  type HeaderLines,
  headerOf,
  type Observation,
} from "../exchange/exchange.ts";
import { decodedText } from "../exchange/decoded_body.ts";
import type { Exchange as RecordedExchange } from "../parity/recordings.ts";
import type { Redactor } from "../redact/redact.ts";

/** What of a request decides the response; the rest is the connection's or the client's own. */
const REQUEST_HEADERS: readonly string[] = [
  "accept",
  "authorization",
  "content-type",
  "origin",
  "access-control-request-method",
  "access-control-request-headers",
];

// With these the response depends on what the client received before.
const DEPENDS_ON_THE_PAST = ["if-none-match", "if-match", "if-modified-since", "range"];

/** The longest body that is recorded, in bytes. */
export const MAX_BODY_CHARACTERS = 65_536;

/** As {@link MAX_BODY_CHARACTERS}, for what is no JSON: replacing personal data would cut it. */
const MAX_TEXT_CHARACTERS = 4_000;

/**
 * Whether an exchange can be recorded so that it can be sent again: short bodies in UTF-8, which are
 * kept without content codings, and a response that depends on this request alone.
 */
export function isRecordable(request: CapturedRequest, response: CapturedResponse): boolean {
  return isShortText(request) && isShortText(response) &&
    !request.headers.some(([name]) => DEPENDS_ON_THE_PAST.includes(name.toLowerCase()));
}

/** An exchange, which {@link isRecordable}, as recordings have it. */
export function recordedExchange(
  { operation, request, response }: Pick<Observation, "operation" | "request" | "response">,
  redactor: Pick<Redactor, "exchange">,
): RecordedExchange {
  const { request: sent, response: received } = redactor.exchange(operation, request, response);
  return {
    request: {
      method: sent.method,
      path: sent.target,
      headers: pick(sent.headers, REQUEST_HEADERS),
      ...(sent.body.length > 0 && { body: textOf(sent) }),
    },
    response: {
      status: received.status,
      headers: pick(received.headers, COMPARED_HEADERS),
      body: withoutFrames(textOf(received)),
      ...(headerOf(response.headers, "etag") !== undefined && { etag: true }),
    },
  };
}

function textOf({ body }: { body: Uint8Array }): string {
  return decodedText({ headers: [], body }) ?? "";
}

function isShortText(message: { headers: HeaderLines; body: Uint8Array }): boolean {
  const text = decodedText(message);
  // jsonb can't hold U+0000.
  if (text === undefined || text.includes("\0")) return false;
  const bytes = Buffer.byteLength(text);
  return bytes <= MAX_TEXT_CHARACTERS ||
    bytes <= MAX_BODY_CHARACTERS && parseJson(text) !== undefined;
}

function pick(lines: HeaderLines, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => {
    const value = headerOf(lines, name);
    return value === undefined ? [] : [[name, value] as const];
  }));
}
