import { deepStrictEqual, ok } from "node:assert/strict";

const ROOT = new URL("../", import.meta.url);
const NOT_OURS = new Set(["node_modules", "dist", ".data", ".git", ".venv"]);

/**
 * A stop-watch compared with a number: the result depends on the machine's speed and its other
 * load.
 */
const UPPER_BOUND =
  /(?:performance|Date)\.now\(\) - [\w.]+ <=? ?\d|\b(?:took|waited|elapsed) <=? ?\d/;

async function testFiles(folder: URL): Promise<URL[]> {
  const found: URL[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (NOT_OURS.has(name)) continue;
    if (isDirectory) found.push(...await testFiles(new URL(`${name}/`, folder)));
    else if (name.endsWith("_test.ts")) found.push(new URL(name, folder));
  }
  return found;
}

/*
 * Alternatives: count steps, or check the order of events (`isOpen` of a lock, two promises in
 * turn). Or wait with `eventually` or `withDeadline`, or compare with a constant that names the
 * alternative.
 */
Deno.test("no test has an upper bound in milliseconds that a busy machine breaks", async () => {
  const files = await testFiles(ROOT);
  ok(files.length > 100);
  const found: string[] = [];
  for (const file of files) {
    if (file.pathname.endsWith("/contract-tests/clock_test.ts")) continue;
    for (const [at, line] of (await Deno.readTextFile(file)).split("\n").entries()) {
      if (UPPER_BOUND.test(line)) found.push(`${file.pathname}:${at + 1} ${line.trim()}`);
    }
  }
  deepStrictEqual(found, []);
});

Deno.test("the check finds an upper bound", () => {
  const lines = ["ok(performance.now() - began < 900);", "ok(took < 2_000, `it took`);"];
  for (const line of lines) ok(UPPER_BOUND.test(line), line);
});
