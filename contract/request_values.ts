/**
 * The form of text fields in requests, as openapi.yaml says it. The routes refuse other text, and
 * the gateway derives from it why they did.
 *
 * @module
 */

/** The code that people scan; the unique index holds every match. */
export const LOT_CODE_PATTERN = /^(?:[\x01-\x7f]{1,2600}|[^\x00]{1,650})$/u;

/**
 * Characters of a note or a signature: two of them in ASCII fit into a body with all other fields.
 */
export const MAX_TEXT_CHARACTERS = 50_000;

/** A value of `Idempotency-Key`: bare, or a string of RFC 9651 without parameters. */
export const KEY_PATTERN = /^(?:[!#-~][!-~]{0,254}|"(?:[!#-[\]-~]|\\["\\]){1,255}")$/;

const HEX_GROUPS = "[0-9A-Fa-f]{4}(?:-?[0-9A-Fa-f]{4}){7}";

/**
 * Every spelling of a UUID that PostgreSQL reads: dashes after any four digits, optional braces.
 */
export const UUID_PATTERN = new RegExp(`^(?:${HEX_GROUPS}|\\{${HEX_GROUPS}\\})$`);

/** A decimal as PostgreSQL reads it; 0x, 0o, 0b and underscores since PostgreSQL 16. */
const decimalPattern = (more: string, atMost: string, exponent: string) => {
  const digits = `[0-9](?:_?[0-9])${more}`;
  const whole =
    `0[xX](?:_?[0-9A-Fa-f])${atMost}|0[oO](?:_?[0-7])${atMost}|0[bB](?:_?[01])${atMost}`;
  const plain = `(?:${digits}(?:\\.(?:${digits})?)?|\\.${digits})` +
    `(?:[eE][+-]?(?:0_?)*[0-9](?:_?[0-9])${exponent})?`;
  return new RegExp(`^[\\t-\\r ]*[+-]?(?:${plain}|${whole})[\\t-\\r ]*$`);
};

/**
 * A decimal as text. Digits and exponent are well within the limits of PostgreSQL's numeric
 * (https://www.postgresql.org/docs/17/datatype-numeric.html), so every match can be stored.
 */
export const DECIMAL_PATTERN = decimalPattern("{0,999}", "{1,1000}", "{0,3}");

const ANY_DECIMAL_PATTERN = decimalPattern("*", "+", "*");

/**
 * Whether a text is a decimal with more digits, or a larger exponent, than a request may contain.
 */
export function isLongDecimal(text: string): boolean {
  return !DECIMAL_PATTERN.test(text) && ANY_DECIMAL_PATTERN.test(text);
}

/** JSON Schema counts characters, not UTF-16 units. */
export function hasAtMost(characters: number, text: string): boolean {
  return text.length <= characters || [...text].length <= characters;
}
