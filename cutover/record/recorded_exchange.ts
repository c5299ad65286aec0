import { withoutFrames } from "../compare/error_page.ts";
import { COMPARED_HEADERS } from "../compare/compared_headers.ts";
import type {
  CapturedRequest,
  CapturedResponse,
  HeaderLines,
  Observation,
} from "../exchange/exchange.ts";
import { headerOf } from "../exchange/header_value.ts";
import { decodedBytes } from "../exchange/decoded_body.ts";
import type { Redactor } from "../redact/redact.ts";

/** A request and its answer as a file of recordings has them, with personal data replaced. */
export interface RecordedExchange {
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: string;
  };
  readonly response: {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
    readonly etag?: true;
  };
}

/** What of a request decides the answer; the rest is the connection's or the client's own. */
const REQUEST_HEADERS: readonly string[] = [
  "accept",
  "authorization",
  "content-type",
  "origin",
  "access-control-request-method",
  "access-control-request-headers",
];

// Whoever sends these wants an answer that depends on what it had been answered before.
const DEPENDS_ON_THE_PAST = ["if-none-match", "if-match", "if-modified-since", "range"];

/** The longest body that is recorded, in bytes. */
export const MAX_BODY_CHARACTERS = 65_536;

/** As {@link MAX_BODY_CHARACTERS}, for what is no JSON: replacing personal data would cut it. */
const MAX_TEXT_CHARACTERS = 4_000;

/**
 * Whether an exchange can be recorded so that it can be sent again: short bodies in UTF-8, which are
 * kept without content codings, and an answer that depends on this request alone.
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
  const { request: requested, response: answered } = redactor.exchange(
    operation,
    request,
    response,
  );
  return {
    request: {
      method: requested.method,
      path: requested.target,
      headers: pick(requested.headers, REQUEST_HEADERS),
      ...(requested.body.length > 0 && { body: textOf(requested.body) }),
    },
    response: {
      status: answered.status,
      headers: pick(answered.headers, COMPARED_HEADERS),
      body: withoutFrames(textOf(answered.body)),
      ...(headerOf(response.headers, "etag") !== undefined && { etag: true }),
    },
  };
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text of bytes that are UTF-8, a byte order mark included. */
function textOf(body: Uint8Array): string {
  return UTF8.decode(body);
}

function isShortText(message: { headers: HeaderLines; body: Uint8Array }): boolean {
  const bytes = decodedBytes(message);
  // jsonb can't hold U+0000.
  if (bytes === undefined || bytes.length > MAX_BODY_CHARACTERS || bytes.includes(0)) return false;
  try {
    const text = textOf(bytes);
    if (bytes.length > MAX_TEXT_CHARACTERS) JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function pick(lines: HeaderLines, names: readonly string[]): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const name of names) {
    const value = headerOf(lines, name);
    if (value !== undefined) picked[name] = value;
  }
  return picked;
}
