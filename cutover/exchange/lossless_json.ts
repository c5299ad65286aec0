/**
 * JSON as it was written: numbers keep their text (`540.0` isn't `540`), objects the order of their
 * keys and duplicate keys. `JSON.parse` loses all of that.
 */
export type LosslessJson =
  | { readonly kind: "object"; readonly entries: readonly (readonly [string, LosslessJson])[] }
  | { readonly kind: "list"; readonly items: readonly LosslessJson[] }
  | { readonly kind: "string"; readonly value: string }
  /** A number, `true`, `false` or `null`, by its text. */
  | { readonly kind: "plain"; readonly text: string };

// Deeper than any response of either server, and shallow enough for recursion.
const MAX_LEVELS = 200;

const ESCAPED = /[\\\u0000-\u001f]/;
const STRING = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const PLAIN = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/** Parses a JSON document; undefined when it is malformed or has more than 200 levels. */
export function parseLosslessJson(text: string): LosslessJson | undefined {
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  // A large trace has a hundred thousand tokens: a regular expression for each takes four times as long.
  const skipSpace = () => {
    while (isSpace(text.charCodeAt(at))) at++;
  };
  const takeCharacter = (character: string): boolean => {
    skipSpace();
    if (text[at] !== character) return false;
    at++;
    return true;
  };
  const takeString = (): string | undefined => {
    if (text[at] !== '"') return undefined;
    const end = text.indexOf('"', at + 1);
    const plain = text.slice(at + 1, end);
    if (end !== -1 && !ESCAPED.test(plain)) {
      at = end + 1;
      return plain;
    }
    const string = take(STRING);
    return string === undefined ? undefined : JSON.parse(string);
  };
  const value = (level: number): LosslessJson | undefined => {
    if (level > MAX_LEVELS) return undefined;
    if (takeCharacter("{")) return object(level);
    if (takeCharacter("[")) return list(level);
    const string = takeString();
    if (string !== undefined) return { kind: "string", value: string };
    const plain = take(PLAIN);
    return plain === undefined ? undefined : { kind: "plain", text: plain };
  };
  const object = (level: number): LosslessJson | undefined => {
    const entries: [string, LosslessJson][] = [];
    if (takeCharacter("}")) return { kind: "object", entries };
    for (;;) {
      skipSpace();
      const key = takeString();
      if (key === undefined || !takeCharacter(":")) return undefined;
      const item = value(level + 1);
      if (item === undefined) return undefined;
      entries.push([key, item]);
      if (takeCharacter("}")) return { kind: "object", entries };
      if (!takeCharacter(",")) return undefined;
    }
  };
  const list = (level: number): LosslessJson | undefined => {
    const items: LosslessJson[] = [];
    if (takeCharacter("]")) return { kind: "list", items };
    for (;;) {
      const item = value(level + 1);
      if (item === undefined) return undefined;
      items.push(item);
      if (takeCharacter("]")) return { kind: "list", items };
      if (!takeCharacter(",")) return undefined;
    }
  };
  const document = value(1);
  skipSpace();
  return at === text.length ? document : undefined;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

/** The document as compact text; compact text survives parsing and formatting unchanged. */
export function formatLosslessJson(value: LosslessJson): string {
  switch (value.kind) {
    case "object": {
      const fields = value.entries.map(([key, item]) =>
        `${JSON.stringify(key)}:${formatLosslessJson(item)}`
      );
      return `{${fields.join(",")}}`;
    }
    case "list":
      return `[${value.items.map(formatLosslessJson).join(",")}]`;
    case "string":
      return JSON.stringify(value.value);
    case "plain":
      return value.text;
  }
}

/** The value of a key; of duplicate keys the last one, as in `JSON.parse`. */
export function fieldOf(value: LosslessJson | undefined, key: string): LosslessJson | undefined {
  return value?.kind === "object" ? value.entries.findLast(([one]) => one === key)?.[1] : undefined;
}

export function stringOf(value: LosslessJson | undefined): string | undefined {
  return value?.kind === "string" ? value.value : undefined;
}
