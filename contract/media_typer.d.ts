/**
 * A media type in lower case, taken apart.
 * @throws {TypeError} when the text is none
 */
export function parse(text: string): { type: string; subtype: string; suffix: string | undefined };
