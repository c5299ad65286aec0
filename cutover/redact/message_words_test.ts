import { deepStrictEqual } from "node:assert/strict";
import { parse } from "yaml";
import { loadRecordings } from "../parity/recordings.ts";
import { knownWords } from "./message_words.ts";

/** What isn't known of a text. */
function unknownIn(text: string): string[] {
  const unknown: string[] = [];
  knownWords(text, "text", (_kind, value) => {
    unknown.push(value);
    return "";
  });
  return unknown;
}

/** The texts of `error` and `message` in the contract's examples. */
function messagesIn(document: unknown): string[] {
  if (typeof document !== "object" || document === null) return [];
  return Object.entries(document).flatMap(([name, value]) =>
    typeof value === "string" && (name === "error" || name === "message")
      ? [value]
      : messagesIn(value)
  );
}

Deno.test("every message in the contract's examples is made of known words and numbers", async () => {
  const document = parse(await Deno.readTextFile(new URL("../../openapi.yaml", import.meta.url)));
  const messages = messagesIn(document);
  deepStrictEqual([messages.includes("is missing"), ...messages.flatMap(unknownIn)], [
    true,
    "1",
    "14",
    "mix-batch-88",
    "250000",
    "134217728",
    "102400",
  ]);
});

Deno.test("of the old server's recorded errors only what the client sent is unknown", async () => {
  const { scenarios } = await loadRecordings();
  const errors = scenarios.flatMap(({ steps }) => steps.map(({ response }) => response))
    .filter(({ status }) => status >= 400).map(({ body }) => body);
  const unknown = new Set(errors.flatMap(unknownIn));
  deepStrictEqual([...unknown].sort(), ["3", "__proto__", "colour", "heavy", "mood", "nope"]);
});

const TEXTS: [text: string, unknown: string[]][] = [
  ['column "Anna" does not exist', ["Anna"]],
  ["no operator Anna Kovács, +36 (30) 1, of Győr", ["Anna Kovács, +36 (30) 1", "Győr"]],
  ["Lot code RAW-1 is taken, 00000000-0000-4000-8000-000000950201", []],
  ["text-3f9a0c5b71de not found", []],
  ["LOT not Found", ["LOT", "Found"]],
  ["欧阳晓明 not found", ["欧阳晓明"]],
  ["", []],
];

for (const [text, unknown] of TEXTS) {
  Deno.test(`of "${text}" the words that aren't known are found`, () => {
    deepStrictEqual(unknownIn(text), unknown);
  });
}
