import type { Random } from "../../dev/random.ts";
import { listed } from "./listed.ts";

/*
 * Parts of the makers of odd values. The values in lists come from real requests or manuals; random
 * combinations cover the rest.
 */

/** Makes a value, as JSON text. */
export type OddValue = (random: Random) => string;

/** A value as JSON text. */
export const json = (value: unknown) => JSON.stringify(value);
/** One of some JSON texts. */
export const oneOf = (...choices: [string, ...string[]]): OddValue => (random) =>
  random.pick(choices);
/** One of some texts. */
export const texts = (...choices: [string, ...string[]]): OddValue => (random) =>
  json(random.pick(choices));

/** Some of the makers, each equally likely. */
export const anyOf = (...makers: [OddValue, ...OddValue[]]): OddValue => (random) =>
  random.pick(makers)(random);

/** A word of letters from an alphabet. */
export function word(random: Random, alphabet: string, min: number, max: number): string {
  const letters = [...alphabet];
  const length = min + random.below(max - min + 1);
  return Array.from({ length }, () => letters[random.below(letters.length)] ?? "").join("");
}

/** Some decimal digits. */
export const digits = (random: Random, min = 1, max = 6) => word(random, "0123456789", min, max);
/** A text, or none. */
export const maybe = (random: Random, text: string) => random.below(2) === 0 ? text : "";

/** White space, and characters that only some parsers treat as such. */
export const SPACES = listed(
  " ¦  ¦\t¦\n¦\r¦\v¦\f¦\u00a0¦\u0085¦\u1680¦\u2002¦\u2003¦\u2009¦\u200b¦\u2028¦\u2029¦" +
    "\u202f¦\u3000¦\ufeff",
);

/** A text with some space around it. */
export const padded = (inner: (random: Random) => string): OddValue => (random) => {
  const before = maybe(random, random.pick(SPACES));
  return json(
    `${before}${inner(random)}${before === "" || random.below(2) ? random.pick(SPACES) : ""}`,
  );
};
