/** Where a text that is no JSON (RFC 8259) goes wrong. Lines and columns count from 1. */
export interface JsonError {
  readonly line: number;
  /** In UTF-16 code units, as most editors count. */
  readonly column: number;
  /** Whether the text ends before the document does. */
  readonly isEnd: boolean;
}

/**
 * Finds the first place at which a text can't be JSON. V8's own message has a position for some
 * errors only, and quotes the text, which a response must not.
 */
export function findJsonError(text: string): JsonError {
  const at = errorIndex(text);
  const lines = text.slice(0, at).split("\n");
  const column = (lines.at(-1)?.length ?? 0) + 1;
  return { line: lines.length, column, isEnd: at === text.length };
}

/** What may come next. `first` is a value or key, or the end of the list or object just opened. */
type Expected = "value" | "first" | "key" | "colon" | "next" | "nothing";

const LITERALS = ["true", "false", "null"];
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/** The length of the text: it ends too early, or is JSON. */
function errorIndex(text: string): number {
  const open: ("{" | "[")[] = [];
  const afterValue = (): Expected => open.length === 0 ? "nothing" : "next";
  let expected: Expected = "value";
  let at = 0;
  for (;;) {
    at = skipSpace(text, at);
    const character = text[at];
    if (character === undefined) return at;
    const inner = open.at(-1);
    const isKey: boolean = expected === "key" || (expected === "first" && inner === "{");
    const closes = (character === "}" && inner === "{") || (character === "]" && inner === "[");
    if (closes && (expected === "first" || expected === "next")) {
      open.pop();
      expected = afterValue();
      at++;
    } else if (expected === "next" && character === ",") {
      expected = inner === "{" ? "key" : "value";
      at++;
    } else if (expected === "colon" && character === ":") {
      expected = "value";
      at++;
    } else if (expected === "next" || expected === "colon" || expected === "nothing") {
      return at;
    } else if (character === '"') {
      const string = skipString(text, at);
      if (string.isBroken) return string.at;
      at = string.at;
      expected = isKey ? "colon" : afterValue();
    } else if (isKey) {
      return at;
    } else if (character === "{" || character === "[") {
      open.push(character);
      expected = "first";
      at++;
    } else {
      const length = scalarLength(text, at);
      if (length === 0) return at;
      expected = afterValue();
      at += length;
    }
  }
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (text[at] === " " || text[at] === "\n" || text[at] === "\r" || text[at] === "\t") at++;
  return at;
}

/** The length of the number or literal at a place; 0: there is none. */
function scalarLength(text: string, at: number): number {
  NUMBER.lastIndex = at;
  const [number] = NUMBER.exec(text) ?? LITERALS.filter((one) => text.startsWith(one, at));
  return number?.length ?? 0;
}

/** The place behind the string at `from`, or the one at which it is broken. */
function skipString(text: string, from: number): { at: number; isBroken: boolean } {
  for (let at = from + 1; at < text.length; at++) {
    const character = text[at] ?? "";
    if (character === '"') return { at: at + 1, isBroken: false };
    if (character < " ") return { at, isBroken: true };
    if (character !== "\\") continue;
    at++;
    if (text[at] !== "u") {
      if (at < text.length && !'"\\/bfnrt'.includes(text[at] ?? "")) return { at, isBroken: true };
      continue;
    }
    for (let digits = 0; digits < 4; digits++) {
      at++;
      if (at < text.length && !isHexDigit(text[at] ?? "")) return { at, isBroken: true };
    }
  }
  return { at: text.length, isBroken: true };
}

function isHexDigit(character: string): boolean {
  return "0123456789abcdefABCDEF".includes(character);
}
