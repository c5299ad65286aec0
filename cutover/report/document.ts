/** A part of a document without a format. All text is plain; the writer of a format escapes it. */
export type Block =
  | { readonly kind: "heading"; readonly level: 1 | 2 | 3; readonly text: string }
  | { readonly kind: "paragraph"; readonly text: string }
  | Notice
  | { readonly kind: "list"; readonly items: readonly string[] }
  | { readonly kind: "verbatim"; readonly text: string }
  | Table
  /** Lines to fill in by hand. */
  | { readonly kind: "form"; readonly fields: readonly string[] };

/** A sentence that must not be overlooked. */
export interface Notice {
  readonly kind: "notice";
  readonly text: string;
  /** `good` without it being a warning. */
  readonly tone: "good" | "warning";
}

/** A table; columns in `numbers` (counted from 0) are aligned to the right. */
export interface Table {
  readonly kind: "table";
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly numbers?: readonly number[];
}

export const heading = (level: 1 | 2 | 3, text: string): Block => ({
  kind: "heading",
  level,
  text,
});
export const paragraph = (text: string): Block => ({ kind: "paragraph", text });
export const notice = (text: string, tone: Notice["tone"] = "warning"): Block => ({
  kind: "notice",
  text,
  tone,
});
export const list = (items: readonly string[]): Block => ({ kind: "list", items });

/** Text with control characters, also those of writing direction, shown by their number. Line ends stay. */
export function visible(text: string): string {
  return text.replaceAll(/(?!\n)[\p{C}\u2028\u2029]/gu, (character) => {
    const number = character.codePointAt(0)?.toString(16).padStart(4, "0");
    return `\\u{${number}}`;
  });
}
