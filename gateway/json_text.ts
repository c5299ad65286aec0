/**
 * JSON as it was written: numbers keep their text (`540.0` isn't `540`), objects their order and even
 * the keys that stand twice. `JSON.parse` loses all of that.
 */
export type JsonText =
  | { readonly kind: "object"; readonly entries: readonly (readonly [string, JsonText])[] }
  | { readonly kind: "list"; readonly items: readonly JsonText[] }
  | { readonly kind: "string"; readonly value: string }
  /** A number, `true`, `false` or `null`, by its text. */
  | { readonly kind: "plain"; readonly text: string };

// Deeper than anything that either server answers with; what walks through it may recurse.
const MOST_LEVELS = 200;

const SPACE = /[ \t\n\r]*/y;
const STRING = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const PLAIN = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/** Reads a JSON document; nothing when the text is none, or is nested deeper than 200 levels. */
export function parseJsonText(text: string): JsonText | undefined {
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  const takeSign = (sign: string): boolean => {
    take(SPACE);
    if (text[at] !== sign) return false;
    at++;
    return true;
  };
  const value = (level: number): JsonText | undefined => {
    if (level > MOST_LEVELS) return undefined;
    if (takeSign("{")) return object(level);
    if (takeSign("[")) return list(level);
    const string = take(STRING);
    if (string !== undefined) return { kind: "string", value: JSON.parse(string) };
    const plain = take(PLAIN);
    return plain === undefined ? undefined : { kind: "plain", text: plain };
  };
  const object = (level: number): JsonText | undefined => {
    const entries: [string, JsonText][] = [];
    if (takeSign("}")) return { kind: "object", entries };
    for (;;) {
      take(SPACE);
      const key = take(STRING);
      if (key === undefined || !takeSign(":")) return undefined;
      const item = value(level + 1);
      if (item === undefined) return undefined;
      entries.push([JSON.parse(key), item]);
      if (takeSign("}")) return { kind: "object", entries };
      if (!takeSign(",")) return undefined;
    }
  };
  const list = (level: number): JsonText | undefined => {
    const items: JsonText[] = [];
    if (takeSign("]")) return { kind: "list", items };
    for (;;) {
      const item = value(level + 1);
      if (item === undefined) return undefined;
      items.push(item);
      if (takeSign("]")) return { kind: "list", items };
      if (!takeSign(",")) return undefined;
    }
  };
  const document = value(1);
  take(SPACE);
  return at === text.length ? document : undefined;
}

/** The document as text without spaces; what was parsed from such text comes back to the letter. */
export function formatJsonText(value: JsonText): string {
  switch (value.kind) {
    case "object": {
      const fields = value.entries.map(([key, item]) =>
        `${JSON.stringify(key)}:${formatJsonText(item)}`
      );
      return `{${fields.join(",")}}`;
    }
    case "list":
      return `[${value.items.map(formatJsonText).join(",")}]`;
    case "string":
      return JSON.stringify(value.value);
    case "plain":
      return value.text;
  }
}

/** The value of a key, the last one when it stands twice, as `JSON.parse` has it. */
export function fieldOf(value: JsonText | undefined, key: string): JsonText | undefined {
  return value?.kind === "object" ? value.entries.findLast(([one]) => one === key)?.[1] : undefined;
}

/** The text of a string. */
export function stringOf(value: JsonText | undefined): string | undefined {
  return value?.kind === "string" ? value.value : undefined;
}
