import { createHmac } from "node:crypto";
import { isPseudonym, type PseudonymKind } from "./pseudonym_form.ts";

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
    const digitsOf = (value: string): string => {
      const before = known.get(value);
      if (before !== undefined) return before;
      if (known.size >= MAX_VALUES) return NO_DIGITS;
      const digits = createHmac("sha256", key).update(value).digest("hex").slice(0, 12);
      known.set(value, digits);
      return digits;
    };
    return (kind, value) => isPseudonym(value) ? value : `${kind}-${digitsOf(value)}`;
  };
}
