import { createHmac } from "node:crypto";
import { type LosslessJson, stringOf } from "../exchange/lossless_json.ts";

/** What a replaced value is; the first part of its pseudonym. */
export const PSEUDONYM_KINDS = [
  // By the field or the header that it stands in.
  "email",
  "password",
  "token",
  "name",
  "note",
  "signature",
  "address",
  "cookie",
  "hash",
  "query",
  "key",
  // By its JSON, where the contract says no more of it.
  "text",
  "number",
  "object",
  "list",
] as const;

export type PseudonymKind = typeof PSEUDONYM_KINDS[number];

/** The form of what stands for a replaced value, such as `email-3f9a0c5b71de`. */
export const PSEUDONYM_FORM = `(?:${PSEUDONYM_KINDS.join("|")})-[0-9a-f]{12}`;

const PSEUDONYM = new RegExp(`\\b${PSEUDONYM_FORM}\\b`);
const WHOLE_PSEUDONYM = new RegExp(`^${PSEUDONYM_FORM}$`);

export function findPseudonym(text: string): string | undefined {
  return PSEUDONYM.exec(text)?.[0];
}

export function isPseudonym(text: string): boolean {
  return WHOLE_PSEUDONYM.test(text);
}

/**
 * Whether an actual value fits a recorded text with pseudonyms. In the place of each stands any text,
 * but not nothing; a number, an object or a list where the whole text is a pseudonym of one.
 *
 * @returns undefined for a text without a pseudonym
 */
export function fitsPseudonyms(recorded: string, actual: LosslessJson): boolean | undefined {
  if (findPseudonym(recorded) === undefined) return undefined;
  if (isPseudonym(recorded) && actual.kind !== "string") {
    return recorded.startsWith(`${kindOf(actual)}-`);
  }
  const is = stringOf(actual) ?? "";
  const [start = "", ...literals] = recorded.split(new RegExp(PSEUDONYM_FORM));
  const end = literals.pop() ?? "";
  if (!is.startsWith(start)) return false;
  let at = start.length;
  for (const literal of literals) {
    const next = is.indexOf(literal, at + 1);
    if (next === -1) return false;
    at = next + literal.length;
  }
  return is.length - end.length > at && is.endsWith(end);
}

/** The kind of a JSON value by itself. */
export function kindOf({ kind }: LosslessJson): PseudonymKind {
  if (kind === "string") return "text";
  return kind === "plain" ? "number" : kind;
}

/** A name for a value that tells nothing about it; the same value always has the same digits. */
export type Pseudonyms = (kind: PseudonymKind, value: string) => string;

/** Different values of one comparison that have digits of their own; each costs a digest. */
const MAX_VALUES = 2_000;

/** The digits of every value beyond {@link MAX_VALUES}. */
const NO_DIGITS = "0".repeat(12);

/**
 * Makes pseudonyms such as `email-3f9a0c5b71de`. Without the secret nobody can find out what one
 * stands for by trying values. The digits depend on the value alone, so that a value shows as the same
 * in a field of another kind, too.
 *
 * @returns what makes the pseudonyms of one comparison or message
 */
export function createPseudonyms(secret: string): () => Pseudonyms {
  const key = createHmac("sha256", secret).update("lotline-redaction").digest();
  return () => {
    const known = new Map<string, string>();
    const newDigits = (value: string) =>
      createHmac("sha256", key).update(value).digest("hex").slice(0, 12);
    const digitsOf = (value: string) =>
      known.size >= MAX_VALUES
        ? known.get(value) ?? NO_DIGITS
        : known.getOrInsertComputed(value, newDigits);
    return (kind, value) => isPseudonym(value) ? value : `${kind}-${digitsOf(value)}`;
  };
}
