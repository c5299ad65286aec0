import { Buffer } from "node:buffer";

/** bcrypt reads no more; a longer password is refused, not cut. */
export const MAX_PASSWORD_BYTES = 72;

/**
 * A text of more than this many times the bytes is too long in every form: normalising shortens none
 * to less than a quarter. Nobody's text of 100 kB is normalised, which may take the square of its
 * length.
 */
const MAX_SHRINKING = 4;

/**
 * What a typed password may have been when its hash was made. One keyboard sends `ä` as one character
 * and another as `a` with a mark behind it, and hashes know only bytes: as typed, composed (NFC, as
 * new passwords are) and decomposed (NFD), each once, and only what has at most 72 bytes. So there are
 * none to three, one for a password in ASCII; how many depends on what was typed and on nothing else.
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

/** Whether a typed password has more bytes than bcrypt reads, in whatever form. */
export function isTooLong(typed: string): boolean {
  return typed !== "" && formsOf(typed).length === 0;
}
