import { withoutFrames } from "../compare/error_page.ts";
import { KEPT_HEADERS } from "../compare/compared_headers.ts";
import type { CapturedAnswer, CapturedRequest, HeaderLines } from "../exchange/exchange.ts";
import { headerOf } from "../exchange/header_value.ts";
import { plainBytes } from "../exchange/decoded_body.ts";

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

/** What replaces personal data and secrets. */
export interface ExchangeRedactor {
  request(request: CapturedRequest): CapturedRequest;
  answer(answer: CapturedAnswer): CapturedAnswer;
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
export const LONGEST_BODY = 65_536;

/** As {@link LONGEST_BODY}, for what is no JSON: replacing personal data would cut it. */
const LONGEST_TEXT = 4_000;

/**
 * Whether an exchange can be recorded so that it can be sent again: short bodies in UTF-8, which are
 * kept without content codings, and an answer that depends on this request alone.
 */
export function isRecordable(request: CapturedRequest, answer: CapturedAnswer): boolean {
  return isShortText(request) && isShortText(answer) &&
    !request.headers.some(([name]) => DEPENDS_ON_THE_PAST.includes(name.toLowerCase()));
}

/** An exchange, which {@link isRecordable}, as recordings have it. */
export function recordedExchange(
  request: CapturedRequest,
  answer: CapturedAnswer,
  redactor: ExchangeRedactor,
): RecordedExchange {
  const [asked, answered] = [redactor.request(request), redactor.answer(answer)];
  return {
    request: {
      method: asked.method,
      path: asked.target,
      headers: pick(asked.headers, REQUEST_HEADERS),
      ...(asked.body.length > 0 && { body: textOf(asked.body) }),
    },
    response: {
      status: answered.status,
      headers: pick(answered.headers, KEPT_HEADERS),
      body: withoutFrames(textOf(answered.body)),
      ...(headerOf(answer.headers, "etag") !== undefined && { etag: true }),
    },
  };
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text of bytes that are UTF-8, a byte order mark included. */
function textOf(body: Uint8Array): string {
  return UTF8.decode(body);
}

function isShortText(message: { headers: HeaderLines; body: Uint8Array }): boolean {
  const bytes = plainBytes(message);
  // jsonb can't hold U+0000.
  if (bytes === undefined || bytes.length > LONGEST_BODY || bytes.includes(0)) return false;
  try {
    const text = textOf(bytes);
    if (bytes.length > LONGEST_TEXT) JSON.parse(text);
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
