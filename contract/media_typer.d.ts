/**
 * A media type in lower case, parsed.
 * @throws {TypeError} invalid text
 */
export function parse(text: string): { type: string; subtype: string; suffix: string | undefined };
