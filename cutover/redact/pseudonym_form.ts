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
 * An actual body with the recorded pseudonyms in the places where they were recorded, so that the two
 * can be compared: in each such place any text will do, but not nothing. A body in which there is no
 * such text stays as it is there, and so differs.
 */
export function withPseudonymsOf(recorded: string, actual: string): string {
  if (findPseudonym(recorded) === undefined) return actual;
  const [was, is] = [parseJson(recorded), parseJson(actual)];
  let filled = "";
  let rest = actual;
  for (const { key, before, after } of pairs(was, is, "")) {
    const text = key + JSON.stringify(after);
    const at = rest.indexOf(text);
    // Written in another way than JSON.stringify does: not the same bytes, whatever it means.
    if (at === -1) continue;
    filled += rest.slice(0, at) + key + JSON.stringify(before);
    rest = rest.slice(at + text.length);
  }
  return filled + rest;
}

interface Pair {
  /** What stands before the text: its name and a colon, or nothing in a list. */
  readonly key: string;
  readonly before: string;
  readonly after: string;
}

/** Texts with a pseudonym, and what stands in the same place of the actual body; in reading order. */
function* pairs(was: unknown, is: unknown, key: string): Generator<Pair> {
  if (typeof was === "string") {
    const fits = typeof is === "string" && is !== "";
    if (fits && findPseudonym(was) !== undefined) yield { key, before: was, after: is };
  } else if (Array.isArray(was) && Array.isArray(is)) {
    for (const [at, one] of was.entries()) yield* pairs(one, is[at], "");
  } else if (isObject(was) && isObject(is)) {
    for (const [name, one] of Object.entries(was)) {
      yield* pairs(one, is[name], `${JSON.stringify(name)}:`);
    }
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
