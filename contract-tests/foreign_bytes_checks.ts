import { deepStrictEqual, ok } from "node:assert/strict";
import process from "node:process";
import { growth, LINEAR, TIMES } from "../testing/growth.ts";
import { type Reading, readings } from "./foreign_bytes.ts";

// Otherwise it searches for Java and for native programs.
Deno.env.set("RECHECK_BACKEND", "pure");
const { checkSync } = await import("recheck");

const PAGE = await Deno.readTextFile(new URL("../docs/foreign-bytes.md", import.meta.url));

/** One part of the project, and the facts that its source doesn't show. */
export interface ForeignBytes {
  readonly isOurs: (file: string) => boolean;
  /** Expressions that are built at run time, by their file. */
  readonly putTogether: Readonly<Record<string, readonly RegExp[]>>;
  /**
   * Expressions that recheck can't judge (look-around, or too large for it); the worst inputs test
   * these.
   */
  readonly beyondRecheck: readonly string[];
}

const BYTES = 16_384;

const lineOf = ({ file, text }: Reading) => `${file}  ${text}`;

function listed(): string[] {
  return [...PAGE.matchAll(/^```text\n(.*?)^```$/gms)].flatMap(([, block = ""]) =>
    block.trimEnd().split("\n").map((line) => line.replace(/^(\S+) +/, "$1  "))
  );
}

/** Tests that every place of a part that reads text is in docs/foreign-bytes.md, and is linear. */
export async function testForeignBytes(part: ForeignBytes): Promise<void> {
  const all = (await readings()).filter(({ file }) => part.isOurs(file));

  Deno.test("every place that reads text is listed once with its bound, and no listed place is missing", () => {
    const page = listed().filter((line) => part.isOurs(line));
    const source = new Set(all.map(lineOf));
    deepStrictEqual(
      {
        missing: [...source].filter((line) => !page.includes(line)),
        gone: page.filter((line) => !source.has(line)),
        twice: page.filter((line, at) => page.indexOf(line) !== at),
      },
      { missing: [], gone: [], twice: [] },
      "docs/foreign-bytes.md",
    );
  });

  const patterns = (): Map<string, RegExp> => {
    const files = all.filter(({ text }) => text === "RegExp").map(({ file }) => file);
    deepStrictEqual([...new Set(files)].sort(), Object.keys(part.putTogether).sort());
    const found = [
      ...all.flatMap(({ pattern }) => pattern ?? []),
      ...Object.values(part.putTogether).flat(),
    ];
    ok(found.length > 0);
    return new Map(found.map((pattern) => [String(pattern), pattern]));
  };

  Deno.test("no expression takes more than linear time, as far as recheck can judge it", () => {
    const faults: string[] = [];
    for (const [text, { source, flags }] of patterns()) {
      if (part.beyondRecheck.includes(source)) continue;
      const found = checkSync(source, flags, { checker: "automaton", timeout: 60_000 });
      if (found.status === "vulnerable") faults.push(`${text}: ${found.complexity.summary}`);
      if (found.status === "unknown") faults.push(`${text}: ${JSON.stringify(found.error)}`);
    }
    deepStrictEqual(faults, []);
  });

  Deno.test("16 kB of the worst input take each expression about 32 times as long as 512 bytes, not 1,024 times", async () => {
    const faults: string[] = [];
    for (const [name, pattern] of patterns()) {
      for (const inputOf of worstInputs(pattern)) {
        const whole = inputOf(BYTES);
        const { user } = process.cpuUsage();
        search(pattern, whole);
        // The square of 16 kB is 268 million steps; a fast expression takes fewer.
        if (process.cpuUsage().user - user < 10_000) continue;
        const times = await growth((text) => search(pattern, text), inputOf(BYTES / TIMES), whole);
        if (times > LINEAR) faults.push(`${name}: ${times.toFixed(1)} on ${whole.slice(0, 20)}…`);
      }
    }
    deepStrictEqual(faults, []);
  });
}

/** Whether recheck finds an expression super-linear. */
export function isVulnerable({ source, flags }: RegExp): boolean {
  return checkSync(source, flags, { checker: "automaton", timeout: 60_000 }).status ===
    "vulnerable";
}

/** Runs of each character class in an expression, alone and after its literal prefix. */
function worstInputs({ source }: RegExp): ((length: number) => string)[] {
  const plain = source.replaceAll(/\\[bBdDwWsSpP](?:\{[^}]*\})?|\\(.)/g, "$1");
  const words = plain.match(/[\w<>=/:"@.$ -]{2,}/g) ?? [];
  const letters = new Set([...plain, ..." \t\n\"'\\aA0é.-,;=([{</"]);
  const starts = new Set(["", words[0] ?? "", plain.slice(0, 1)]);
  return [...letters, ...words, ...words.map((word) => `${word} `)].flatMap((row) =>
    [...starts].map((start) => (length: number) =>
      start + row.repeat(Math.ceil((length - start.length) / row.length)) + "\u0001!"
    )
  );
}

function search(pattern: RegExp, text: string): void {
  pattern.lastIndex = 0;
  if (pattern.global) text.replaceAll(pattern, "");
  else pattern.exec(text);
}
