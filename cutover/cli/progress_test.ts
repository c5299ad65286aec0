import { deepStrictEqual } from "node:assert/strict";
import { startProgress } from "./progress.ts";

Deno.test("progress is reported at the first thing, then every 5 s, with the time that is left", () => {
  let now = 1_000;
  const lines: string[] = [];
  const report = startProgress((line) => lines.push(line), 100, "pairs", () => now);
  for (let done = 0; done <= 100; done++) {
    report(done);
    now += 500;
  }
  deepStrictEqual(lines.slice(0, 3), [
    "1 of 100 pairs (1 %)",
    "11 of 100 pairs (11 %), about 45 s to go",
    "21 of 100 pairs (21 %), about 40 s to go",
  ]);
  deepStrictEqual(lines.length, 10);
});

Deno.test("what is done at once reports nothing", () => {
  const lines: string[] = [];
  startProgress((line) => lines.push(line), 1, "pairs", () => 0)(1);
  deepStrictEqual(lines, []);
});
