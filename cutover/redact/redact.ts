import { gunzipSync } from "node:zlib";
import type { Difference, Finding } from "../evidence/evidence.ts";
import type { CapturedRequest, CapturedResponse, HeaderLines } from "../exchange/exchange.ts";
import { headerOf } from "../exchange/header_value.ts";
import { type LosslessJson, parseLosslessJson, stringOf } from "../exchange/lossless_json.ts";
import { decodedText } from "../exchange/decoded_body.ts";
import { createPseudonyms, kindOfName, type SecretKind } from "./pseudonyms.ts";
import { createTextRedactor, type TextRedactor } from "./redact_text.ts";

/** Takes out what nobody may see before anything is stored or logged. Never throws. */
export interface Redactor {
  /** Everything a finding holds; a secret that a field names is taken out wherever else it stands. */
  finding(finding: Finding): Finding;
  /** Any text, a JSON document too. */
  text(text: string): string;
  request(request: CapturedRequest): CapturedRequest;
  response(response: CapturedResponse): CapturedResponse;
}

/** Bodies that are no JSON are cut to this length, in characters. */
const MAX_TEXT = 4_000;
/** Longer JSON is cut like every text, in characters. */
const MAX_JSON_CHARACTERS = 262_144;
/** Each side of a difference is cut to this length, in characters. */
const MAX_OF_DIFFERENCE = 200;

/**
 * Makes a redactor: tokens, passwords, emails, names, signatures, addresses and cookies become
 * pseudonyms, the same one for the same value. Lot codes, ids and numbers stay: they are the evidence.
 *
 * @param secret nobody without it can find out what a pseudonym stands for
 */
export function createRedactor(secret: string): Redactor {
  const pseudonym = createPseudonyms(secret);
  const redactorFor = (messages: readonly Message[]): TextRedactor => {
    const known = new Map<string, string>();
    for (const message of messages) {
      for (const [kind, value] of namedSecrets(message)) {
        if (known.size < MAX_KNOWN) known.set(value, pseudonym(kind, value));
      }
    }
    return createTextRedactor(pseudonym, known);
  };

  const headersBy = (headers: HeaderLines, texts: TextRedactor): HeaderLines =>
    headers
      // The body that is kept is neither compressed nor as long.
      .filter(([name]) => !/^content-(?:encoding|length)$/i.test(name))
      .map(([name, value]): readonly [string, string] => {
        const kind = kindOfHeader(name);
        if (kind !== undefined) return [name, pseudonym(kind, value)];
        const isAddress = /^(?:referer|location|content-location|origin)$/i.test(name);
        return [name, isAddress ? texts.target(value) : texts.text(value)];
      });

  const requestBy = (request: CapturedRequest, texts: TextRedactor): CapturedRequest => ({
    method: request.method,
    target: cut(texts.target(startOf(request.target)), MAX_TEXT),
    headers: headersBy(request.headers, texts),
    body: bodyBy(request, texts),
  });
  const responseBy = (response: CapturedResponse, texts: TextRedactor): CapturedResponse => ({
    ...response,
    headers: headersBy(response.headers, texts),
    body: bodyBy(response, texts),
  });
  const differenceBy = (difference: Difference, texts: TextRedactor): Difference => {
    const { place, legacy, service } = difference;
    const kind = kindOfPlace(place);
    const clean = (text: string) => {
      if (kind === undefined) return cut(texts.text(text), MAX_OF_DIFFERENCE);
      // The same pseudonym as in the body, where the text has no quotation marks.
      return text === "null" ? text : pseudonym(kind, stringOf(parseLosslessJson(text)) ?? text);
    };
    return {
      place: cut(texts.text(place), MAX_OF_DIFFERENCE),
      ...(legacy !== undefined && { legacy: clean(legacy) }),
      ...(service !== undefined && { service: clean(service) }),
    };
  };

  return {
    text: (text) => redactorFor([]).text(text),
    request: (request) => requestBy(request, redactorFor([request])),
    response: (response) => responseBy(response, redactorFor([response])),
    finding(finding) {
      const { exchange, differences } = finding;
      if (exchange === undefined && differences.length === 0) return finding;
      const { request, legacy, service } = exchange ?? {};
      const messages = [request, legacy, service].filter((one) => one !== undefined);
      const texts = redactorFor(messages);
      return {
        ...finding,
        differences: differences.map((difference) => differenceBy(difference, texts)),
        ...(exchange && {
          exchange: {
            mode: exchange.mode,
            request: requestBy(exchange.request, texts),
            legacy: responseBy(exchange.legacy, texts),
            service: responseBy(exchange.service, texts),
          },
        }),
      };
    },
  };
}

type Message = Pick<CapturedRequest, "headers" | "body">;

// Shorter secrets would be found in the middle of everything.
const MIN_KNOWN = 4;
const MAX_KNOWN = 200;

/** The secrets that the fields of a body name. */
function namedSecrets(message: Message): (readonly [SecretKind, string])[] {
  const found: (readonly [SecretKind, string])[] = [];
  const collect = (value: LosslessJson, kind: SecretKind | undefined): void => {
    if (value.kind === "object") {
      for (const [key, item] of value.entries) collect(item, kind ?? kindOfName(key));
    } else if (value.kind === "list") {
      for (const item of value.items) collect(item, kind);
    } else if (kind !== undefined) {
      const text = value.kind === "string" ? value.value : value.text;
      const isWord = value.kind === "plain" && !/\d/.test(text);
      if (text.length >= MIN_KNOWN && !isWord) found.push([kind, text]);
    }
  };
  const text = textIn(message)?.text;
  const document = text === undefined ? undefined : parseLosslessJson(text);
  if (document !== undefined) collect(document, undefined);
  else if (text !== undefined && isForm(message)) {
    for (const [name, value] of new URLSearchParams(text.slice(0, 2 * MAX_TEXT))) {
      const kind = kindOfName(name);
      if (kind !== undefined && value.length >= MIN_KNOWN) found.push([kind, value]);
    }
  }
  return found;
}

function bodyBy(message: Message, texts: TextRedactor): Uint8Array {
  if (message.body.length === 0) return message.body;
  const { text, fault } = textIn(message);
  return new TextEncoder().encode(
    text === undefined
      ? fault
      : text.length <= MAX_JSON_CHARACTERS && parseLosslessJson(text) !== undefined
      ? texts.text(text)
      : cut(redactedText(message, startOf(text), texts), MAX_TEXT),
  );
}

/** The start of a text that is too long, up to a whole word: half a secret isn't seen as one. */
function startOf(text: string): string {
  const max = 2 * MAX_TEXT;
  if (text.length <= max) return text;
  let end = max;
  while (end > 0 && !/[\s",;&}]/.test(text.charAt(end - 1))) end--;
  return `${text.slice(0, end)}…`;
}

function redactedText(message: Message, text: string, texts: TextRedactor): string {
  return isForm(message) ? texts.pairs(text) : texts.text(text);
}

function isForm({ headers }: Message): boolean {
  return /urlencoded/i.test(headerOf(headers, "content-type") ?? "");
}

/** A body as text, or a word on why it isn't kept. */
function textIn(
  message: Message,
): { text: string; fault?: never } | { text?: never; fault: string } {
  const plain = decodedText(message) ?? decodedText(unpacked(message));
  // NULs: UTF-16, or no text at all.
  if (plain !== undefined && !plain.includes("\0")) return { text: plain };
  return { fault: `(${message.body.length} bytes that are no text)` };
}

/** Some send gzip and don't say so. */
function unpacked(message: Message): Message {
  const [first, second] = message.body;
  if (first !== 0x1f || second !== 0x8b) return message;
  try {
    const body = new Uint8Array(gunzipSync(message.body, { maxOutputLength: MAX_JSON_CHARACTERS }));
    return { headers: [], body };
  } catch {
    return message;
  }
}

function kindOfHeader(name: string): SecretKind | undefined {
  return /^x-lotline-dry-run$/i.test(name) ? "token" : kindOfName(name);
}

/** What stands at a place such as `body.user.full_name` or `body.names[2]`. */
function kindOfPlace(place: string): SecretKind | undefined {
  return place.split(/[^\p{L}\p{N}_-]+/u).map(kindOfName).find((kind) => kind !== undefined);
}

/** More of a word's end isn't cut off, in characters. */
const MAX_WORD = 40;

/** Cuts a text that is clean already, at the end of a word so that no half pseudonym is left. */
function cut(text: string, max: number): string {
  if (text.length <= max) return text;
  let end = max - 1;
  while (end > max - 1 - MAX_WORD && /[\w.@%=:-]/.test(text.charAt(end - 1))) end--;
  return `${text.slice(0, end)}…`;
}
