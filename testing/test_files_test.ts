import { deepStrictEqual, ok } from "node:assert/strict";
import { dirname, join } from "node:path";
import { CUTOVER, WHOLE_TREE_TESTS } from "./parts.ts";
import { listTests, restOf, testsAt } from "./test_files.ts";

const FILES = {
  "faults/slow_test.ts": 'import "../testing/server.ts";\n// Runs alone: it goes by time.\n',
  "inner/faults/deep_test.ts": 'import { startThread } from "../thread_starter.ts";\n',
  "inner/thread_starter.ts": 'new Worker(new URL("./thread.ts", import.meta.url));\n',
  "inner/thread.ts": 'import "../testing/server.ts";\n',
  "sum_test.ts": 'import type { Server } from "./testing/server.ts";\nimport "./sum.ts";\n',
  "sum.ts": "export const sum = 3;\n",
  "testing/server.ts": "await new Deno.Command(program).output();\n",
  "timed_test.ts": 'import "./sum.ts";\n// Runs alone: it goes by time.\n',
  ".data/hidden_test.ts": "",
  "node_modules/package/its_test.ts": "",
};

async function withTree(action: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "lotline-test-" });
  for (const [path, source] of Object.entries(FILES)) {
    await Deno.mkdir(dirname(join(root, path)), { recursive: true });
    await Deno.writeTextFile(join(root, path), source);
  }
  await action(root).finally(() => Deno.remove(root, { recursive: true }));
}

Deno.test("a test that starts a process, directly or not, or that runs alone is no unit test", async () => {
  await withTree(async (root) => {
    deepStrictEqual(await listTests(root), [
      { path: "faults/slow_test.ts", runsAlone: true, isUnitTest: false },
      { path: "inner/faults/deep_test.ts", runsAlone: false, isUnitTest: false },
      { path: "sum_test.ts", runsAlone: false, isUnitTest: true },
      { path: "timed_test.ts", runsAlone: true, isUnitTest: false },
    ]);
  });
});

Deno.test("in this tree, tests on a database are no unit tests, and those without one are", async () => {
  const tests = await listTests(new URL("../", import.meta.url).pathname);
  const isUnit = new Map(tests.map(({ path, isUnitTest }) => [path, isUnitTest]));
  deepStrictEqual(
    ["routes/create_lot_test.ts", "cache/valkey_test.ts", "byte_buffer_test.ts"].map((path) =>
      isUnit.get(path)
    ),
    [false, false, true],
  );
});

Deno.test("tests are chosen by file, by folder, or all of them", async () => {
  const tests = await listTests(new URL("../", import.meta.url).pathname);
  const chosen = (...paths: string[]) => testsAt(tests, paths).map(({ path }) => path);
  deepStrictEqual(chosen("./db/pool_test.ts"), ["db/pool_test.ts"]);
  const cache = chosen("cache/");
  ok(cache.length > 1 && cache.every((path) => path.startsWith("cache/")), cache.join());
  deepStrictEqual(chosen("cache", "db/pool_test.ts").length, cache.length + 1);
  deepStrictEqual(chosen("."), tests.map(({ path }) => path));
  deepStrictEqual(chosen("cach"), []);
});

Deno.test("every test runs in the service alone, as a unit test, or with the rest", async () => {
  const tests = await listTests(new URL("../", import.meta.url).pathname);
  const isCutover = (path: string) => CUTOVER.some((folder) => path.startsWith(`${folder}/`));
  const rest = restOf(tests).map(({ path }) => path);
  const run = new Set(rest);
  for (const { path, isUnitTest } of tests) if (isUnitTest || !isCutover(path)) run.add(path);
  deepStrictEqual(run.size, tests.length);
  // What reads the whole tree runs in it, too.
  const inTree = new Set([
    ...rest,
    ...tests.filter((test) => test.isUnitTest).map((test) => test.path),
  ]);
  ok(!inTree.has("routes/create_lot_test.ts"));
  for (const { path } of testsAt(tests, WHOLE_TREE_TESTS)) ok(inTree.has(path), path);
});
