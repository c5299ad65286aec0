import { type LosslessJson, stringOf } from "../exchange/lossless_json.ts";

/** What a value that must not be shown can be; the first part of its pseudonym. */
export const SECRET_KINDS = [
  "email",
  "password",
  "token",
  "name",
  "signature",
  "address",
  "cookie",
  "hash",
] as const;

/** The form of what stands for personal data and secrets, such as `email-3f9a0c5b71de`. */
export const PSEUDONYM_FORM = `(?:${SECRET_KINDS.join("|")})-[0-9a-f]{12}`;

const PSEUDONYM = new RegExp(`\\b${PSEUDONYM_FORM}\\b`);

/** The first pseudonym in a text, if there is one. */
export function findPseudonym(text: string): string | undefined {
  return PSEUDONYM.exec(text)?.[0];
}

/**
 * Whether an actual value fits a recorded text with pseudonyms, in whose places any text stands, but not
 * nothing; undefined for a text without one.
 */
export function fitsPseudonyms(recorded: string, actual: LosslessJson): boolean | undefined {
  if (findPseudonym(recorded) === undefined) return undefined;
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
