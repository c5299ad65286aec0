import { METHODS } from "node:http";
import type { HeaderLines } from "../exchange/exchange.ts";
import { originForm } from "../exchange/match_operation.ts";
import { OPERATIONS } from "../exchange/operations.ts";
import { isIdentifier } from "./closed_form.ts";
import { knownWords } from "./message_words.ts";
import type { PseudonymKind, Pseudonyms } from "./pseudonyms.ts";

type Redact = (value: string, pseudonym: Pseudonyms) => string;

const words: Redact = (value, pseudonym) => knownWords(value, "text", pseudonym);
const origin: Redact = (value, pseudonym) => knownWords(value, "address", pseudonym);
const whole = (kind: PseudonymKind): Redact => (value, pseudonym) =>
  value === "" ? "" : pseudonym(kind, value);
const count: Redact = (value, pseudonym) =>
  /^\d{1,7}$/.test(value) ? value : pseudonym("text", value);

/** Behind a known scheme stands a secret, whatever words it has. */
const credentials: Redact = (value, pseudonym) => {
  const at = value.indexOf(" ");
  const scheme = value.slice(0, Math.max(0, at));
  return SCHEMES.has(scheme.toLowerCase())
    ? `${scheme} ${pseudonym("token", value.slice(at + 1).trim())}`
    : whole("token")(value, pseudonym);
};
const SCHEMES: ReadonlySet<string> = new Set(["basic", "bearer", "digest", "negotiate"]);

/** Validators are made from bodies, so that one tells what a body was. */
const validator: Redact = (value, pseudonym) => {
  // A recorded request names the step whose ETag it sends.
  if (value === "*" || /^\{\{etag \d{1,3}\}\}$/.test(value)) return value;
  const weak = value.startsWith("W/") ? "W/" : "";
  const tag = value.slice(weak.length);
  const isQuoted = tag.length > 1 && tag.startsWith('"') && tag.endsWith('"');
  return weak +
    (isQuoted ? `"${whole("hash")(tag.slice(1, -1), pseudonym)}"` : whole("hash")(tag, pseudonym));
};

/** The headers that are kept, by name in lower case, and what of each is shown. */
const HEADERS: ReadonlyMap<string, Redact> = new Map([
  ["accept", words],
  ["accept-encoding", words],
  ["access-control-allow-credentials", words],
  ["access-control-allow-headers", words],
  ["access-control-allow-methods", words],
  ["access-control-allow-origin", origin],
  ["access-control-expose-headers", words],
  ["access-control-max-age", count],
  ["access-control-request-headers", words],
  ["access-control-request-method", words],
  ["allow", words],
  ["authorization", credentials],
  ["cache-control", words],
  ["content-encoding", words],
  ["content-length", count],
  ["content-type", words],
  ["cookie", whole("cookie")],
  ["etag", validator],
  ["expect", words],
  ["forwarded", whole("address")],
  ["idempotency-key", whole("token")],
  ["idempotency-replayed", words],
  ["if-match", validator],
  ["if-none-match", validator],
  ["location", redactTarget],
  ["origin", origin],
  ["referer", whole("address")],
  ["retry-after", count],
  ["set-cookie", whole("cookie")],
  ["transfer-encoding", words],
  ["vary", words],
  ["www-authenticate", words],
  ["x-forwarded-for", whole("address")],
  ["x-lotline-dry-run", whole("token")],
  ["x-real-ip", whole("address")],
  ["x-request-id", whole("text")],
]);

export function isKnownHeader(name: string): boolean {
  return HEADERS.has(name.toLowerCase());
}

/** The lines of known headers, their values redacted. */
export function redactHeaders(headers: HeaderLines, pseudonym: Pseudonyms): HeaderLines {
  return headers.flatMap(([name, value]): HeaderLines =>
    isKnownHeader(name) ? [[name, redactHeader(name, value, pseudonym)]] : []
  );
}

/** The value of a header; a pseudonym where nothing is known of the name. */
export function redactHeader(name: string, value: string, pseudonym: Pseudonyms): string {
  return (HEADERS.get(name.toLowerCase()) ?? whole("text"))(value, pseudonym);
}

export function redactMethod(method: string, pseudonym: Pseudonyms): string {
  return METHODS.includes(method) ? method : pseudonym("text", method);
}

const SEGMENTS: ReadonlySet<string> = new Set(
  OPERATIONS.flatMap(({ path }) => path.split("/")).filter((segment) => !segment.startsWith("{")),
);

/** A longer target becomes one pseudonym. */
const MAX_TARGET_CHARACTERS = 4_000;

/** Path and query: of the path the contract's segments, ids and lot codes, of the query nothing. */
export function redactTarget(target: string, pseudonym: Pseudonyms): string {
  if (target.length > MAX_TARGET_CHARACTERS) return pseudonym("text", target);
  const form = originForm(target);
  const at = form.indexOf("?");
  const path = (at === -1 ? form : form.slice(0, at)).split("/").map((segment) =>
    SEGMENTS.has(segment.toLowerCase()) || isIdentifier(segment)
      ? segment
      : pseudonym("text", decoded(segment))
  ).join("/");
  return at === -1 ? path : `${path}?${whole("query")(form.slice(at + 1), pseudonym)}`;
}

/** As it would stand in a body, so that both have the same digits. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
