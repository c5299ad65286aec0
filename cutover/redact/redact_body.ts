import { decodedText } from "../exchange/decoded_body.ts";
import type { CapturedRequest } from "../exchange/exchange.ts";
import {
  formatLosslessJson,
  type LosslessJson,
  parseLosslessJson,
} from "../exchange/lossless_json.ts";
import { hasClosedForm, isClosedForm } from "./closed_form.ts";
import { type Field, FIELD_NAMES, fieldNamed, type Fields, isFields } from "./contract_fields.ts";
import { knownWords } from "./message_words.ts";
import { kindOf, PSEUDONYM_KINDS, type Pseudonyms } from "./pseudonyms.ts";

/** Longer JSON becomes one pseudonym, in characters. */
const MAX_JSON_CHARACTERS = 262_144;
/** The same of other text. */
const MAX_TEXT_CHARACTERS = 4_000;

/** A body as it came, the fields that the contract has in it, and whether it may be a message. */
interface OriginalBody extends Pick<CapturedRequest, "headers" | "body"> {
  readonly fields: Fields;
  readonly isResponse: boolean;
}

/** A body as text without content codings: JSON by its fields, of a server's text the known words. */
export function redactBody(message: OriginalBody, pseudonym: Pseudonyms): Uint8Array {
  if (message.body.length === 0) return message.body;
  const text = textOf(message);
  return new TextEncoder().encode(
    text === undefined
      ? `(${message.body.length} bytes that are no text)`
      : redactedText(text, message, pseudonym),
  );
}

function textOf({ headers, body }: OriginalBody): string | undefined {
  // Some name a coding that the body doesn't have.
  const text = decodedText({ headers, body }) ?? decodedText({ headers: [], body });
  // NULs: UTF-16, or no text at all.
  return text?.includes("\0") ? undefined : text;
}

function redactedText(
  text: string,
  { fields, isResponse }: OriginalBody,
  pseudonym: Pseudonyms,
): string {
  const document = text.length <= MAX_JSON_CHARACTERS ? parseLosslessJson(text) : undefined;
  if (document !== undefined) {
    const redacted = formatLosslessJson(redactJson(document, fields, pseudonym));
    // Where nothing is replaced, spaces and escapes stay as well: clients can see them.
    return redacted === formatLosslessJson(document) ? text : redacted;
  }
  return isResponse ? redactText(text, pseudonym) : pseudonym("text", text);
}

/** A server's text: the known words of a message or a page; nothing of JSON that is broken. */
export function redactText(text: string, pseudonym: Pseudonyms): string {
  if (text.length > MAX_TEXT_CHARACTERS || /^[\s\uFEFF]*[[{"]/.test(text)) {
    return pseudonym("text", text);
  }
  // The comparer has it in the place of a body that it couldn't keep or read.
  const size = /^\(?\d{1,10} bytes\b/.exec(text)?.[0] ?? "";
  return size + knownWords(text.slice(size.length), "text", pseudonym);
}

/** A JSON value of a field; `undefined`: a field that the contract doesn't have. */
export function redactJson(
  value: LosslessJson,
  field: Field | undefined,
  pseudonym: Pseudonyms,
): LosslessJson {
  if (holdsNoData(value)) return value;
  if (isFields(field) && value.kind === "object") {
    const entries = value.entries.map(([name, item]): [string, LosslessJson] => [
      redactName(name, field, pseudonym),
      redactJson(item, fieldNamed(field, name), pseudonym),
    ]);
    return { kind: "object", entries };
  }
  if (isFields(field) && value.kind === "list") {
    return { kind: "list", items: value.items.map((item) => redactJson(item, field, pseudonym)) };
  }
  return isShown(value, field) ? value : redactScalar(value, field, pseudonym);
}

export function redactName(
  name: string,
  field: Field | undefined,
  pseudonym: Pseudonyms,
): string {
  return fieldNamed(field, name) === undefined ? pseudonym("key", name) : name;
}

/** Nothing, a truth value, and what is empty. */
function holdsNoData(value: LosslessJson): boolean {
  switch (value.kind) {
    case "object":
      return value.entries.length === 0;
    case "list":
      return value.items.length === 0;
    case "string":
      return value.value === "";
    case "plain":
      return value.text === "null" || value.text === "true" || value.text === "false";
  }
}

function isShown(value: LosslessJson, field: Field | undefined): boolean {
  if (isClosedForm(field)) return hasClosedForm(field, value);
  return Array.isArray(field) && value.kind === "string" && field.includes(value.value);
}

function redactScalar(
  value: LosslessJson,
  field: Field | undefined,
  pseudonym: Pseudonyms,
): LosslessJson {
  const string = (text: string): LosslessJson => ({ kind: "string", value: text });
  if (value.kind !== "string") {
    return string(pseudonym(kindOf(value), formatLosslessJson(value)));
  }
  if (field === "message") return string(knownWords(value.value, "text", pseudonym));
  if (field === "place") return string(redactDetailPath(value.value, pseudonym));
  return string(pseudonym(PSEUDONYM_KINDS.find((kind) => kind === field) ?? "text", value.value));
}

/** Where in a request an error is: names of fields, each with a position in a list, joined by dots. */
function redactDetailPath(path: string, pseudonym: Pseudonyms): string {
  return path.split(".").map((name, at, names) => {
    const isPosition = /^\d{1,3}$/.test(name) && FIELD_NAMES.has(names[at - 1] ?? "");
    return name === "" || FIELD_NAMES.has(name) || isPosition ? name : pseudonym("key", name);
  }).join(".");
}
