import { deepStrictEqual, ok } from "node:assert/strict";
import { dirname, join } from "node:path";
import { CUTOVER, MOSTLY_WAITING, ONLY_IN_WHOLE_TREE, WHOLE_TREE_TESTS } from "./parts.ts";
import { listTests, testsAt, testsOfCopy, testsOfWholeTree } from "./test_files.ts";

const FILES = {
  "faults/slow_test.ts": 'import "../testing/server.ts";\n// Runs alone: it goes by time.\n',
  "inner/faults/deep_test.ts": 'import { startThread } from "../thread_starter.ts";\n',
  "inner/thread_starter.ts": 'new Worker(new URL("./thread.ts", import.meta.url));\n',
  "inner/thread.ts": 'import "../testing/server.ts";\n',
  "long_sum_test.ts": 'import "./sum.ts";\n// Not measured: it counts for long.\n',
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

const NEITHER = { runsAlone: false, isUnitTest: false, isMeasured: false };
const test = (path: string, is: Partial<typeof NEITHER>) => ({ path, ...NEITHER, ...is });

Deno.test("a test that starts a process, directly or not, or that runs alone is no unit test", async () => {
  await withTree(async (root) => {
    deepStrictEqual(await listTests(root), [
      test("faults/slow_test.ts", { runsAlone: true }),
      test("inner/faults/deep_test.ts", {}),
      test("long_sum_test.ts", { isUnitTest: true }),
      test("sum_test.ts", { isUnitTest: true, isMeasured: true }),
      test("timed_test.ts", { runsAlone: true }),
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

Deno.test("every test runs in a copy without the cutover, or in the whole tree, or in both", async () => {
  const tests = await listTests(new URL("../", import.meta.url).pathname);
  const isCutover = (path: string) => CUTOVER.some((folder) => path.startsWith(`${folder}/`));
  const inCopy = testsOfCopy(tests).map(({ path }) => path).filter((path) => !isCutover(path));
  const inTree = testsOfWholeTree(tests).map(({ path }) => path);
  deepStrictEqual(new Set([...inCopy, ...inTree]).size, tests.length);
  const inBoth = inCopy.filter((path) => inTree.includes(path));
  deepStrictEqual(
    inBoth,
    testsOfCopy(testsAt(tests, WHOLE_TREE_TESTS)).map(({ path }) => path),
  );
  for (const path of [...WHOLE_TREE_TESTS, ...ONLY_IN_WHOLE_TREE]) {
    ok(testsAt(tests, [path]).length > 0, path);
  }
});

Deno.test("each test that mostly waits exists, and is neither a unit test nor one that runs alone", async () => {
  const tests = await listTests(new URL("../", import.meta.url).pathname);
  for (const path of MOSTLY_WAITING) {
    const [found] = testsAt(tests, [path]);
    // A copy without the cutover has no tests of it.
    if (found === undefined && CUTOVER.some((folder) => path.startsWith(`${folder}/`))) continue;
    deepStrictEqual(found, test(path, {}));
  }
});
