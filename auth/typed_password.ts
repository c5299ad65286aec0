import { Buffer } from "node:buffer";

/** bcrypt reads no more bytes; a longer password is refused, not cut. */
export const MAX_PASSWORD_BYTES = 72;

/**
 * A text with more than this multiple of the bytes is too long in every form: normalization shrinks
 * no text to less than a quarter. This avoids normalizing 100 kB, which can take quadratic time.
 */
const MAX_SHRINKING = 4;

/**
 * The forms that a typed password may have had when it was hashed. One keyboard sends `ä` as one
 * character, another as `a` with a combining mark, and hashes depend on bytes. The forms are: as
 * typed, composed (NFC, as new passwords are) and decomposed (NFD), without duplicates and without
 * forms of over 72 bytes. Their number, none to three, depends on the typed text only.
 */
export function formsOf(typed: string): readonly string[] {
  const bytes = Buffer.byteLength(typed);
  if (bytes === 0 || bytes > MAX_SHRINKING * MAX_PASSWORD_BYTES) return [];
  const isAscii = bytes === typed.length;
  const forms = isAscii
    ? [typed]
    : [...new Set([typed, typed.normalize("NFC"), typed.normalize("NFD")])];
  return forms.filter((form) => Buffer.byteLength(form) <= MAX_PASSWORD_BYTES);
}

/** Whether every form of a typed password has more bytes than bcrypt reads. */
export function isTooLong(typed: string): boolean {
  return typed !== "" && formsOf(typed).length === 0;
}
