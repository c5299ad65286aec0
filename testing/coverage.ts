/**
 * Runs all tests and shows how many lines and branches they reach, by folder; `--write` also writes
 * the table into docs/coverage.md, and `--unit` runs the unit tests only. It fails when a test fails,
 * or when all tests reach less than {@link TARGET}.
 *
 * The processes and threads that tests start are measured too: Deno reads `DENO_COVERAGE_DIR` in each
 * of them. One that is killed writes nothing.
 *
 * @module
 */
import { join } from "node:path";
import {
  type Coverage,
  formatTable,
  isMeasured,
  percentOf,
  readLcov,
  tableOf,
  withTable,
} from "./coverage_table.ts";
import { withSharedServers } from "./shared_servers.ts";
import { listSources, listTests } from "./test_files.ts";
import { type RunResult, runTests, summaryOf } from "./test_run.ts";

/** In percent, of the service and of the cutover each. */
const TARGET = { lines: 98, branches: 94 };

const ROOT = new URL("../", import.meta.url).pathname;
const PAGE = join(ROOT, "docs/coverage.md");
const REPORT = join(ROOT, ".data/coverage/lcov.info");

/** Runs the tests; what their processes reached is written into a folder. */
async function measure(folder: string, isUnitOnly: boolean): Promise<RunResult> {
  const tests = await listTests(ROOT);
  const coverage = { DENO_COVERAGE_DIR: folder };
  if (isUnitOnly) {
    const options = ["--no-check", "--deny-run"];
    return await runTests(tests.filter(({ isUnitTest }) => isUnitTest), { options, env: coverage });
  }
  return await withSharedServers((servers) =>
    runTests(tests, { options: ["--no-check"], env: { ...servers, ...coverage } })
  );
}

/** A process or thread that is ended while it writes leaves a file that can't be read. */
async function removeUnfinished(folder: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    try {
      JSON.parse(await Deno.readTextFile(join(folder, name)));
    } catch {
      await Deno.remove(join(folder, name));
    }
  }
}

/** Sums up what is in the folder, as lcov: it can be shown by other programs too. */
async function report(folder: string): Promise<string> {
  await removeUnfinished(folder);
  await Deno.mkdir(join(REPORT, ".."), { recursive: true });
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [
      "coverage",
      "--quiet",
      "--lcov",
      `--output=${REPORT}`,
      `--include=^file://${ROOT}`,
      folder,
    ],
    stdout: "null",
  }).output();
  if (!success) throw new Error("deno coverage failed");
  return await Deno.readTextFile(REPORT);
}

/** What is missing of the target, a sentence each. */
async function listMissed(files: ReadonlyMap<string, Coverage>): Promise<string[]> {
  const missed: string[] = [];
  for (const rows of Object.values(tableOf(files))) {
    const total = rows.at(-1);
    if (total === undefined) continue;
    for (const kind of ["lines", "branches"] as const) {
      if (percentOf(total[kind]) >= TARGET[kind]) continue;
      missed.push(`${total.name} reaches less than ${TARGET[kind]} % of its ${kind}`);
    }
  }
  for (const path of await listSources(ROOT)) {
    if (files.has(path) || !isMeasured(path)) continue;
    if (hasCode(await Deno.readTextFile(join(ROOT, path)))) missed.push(`No test loads ${path}`);
  }
  return missed;
}

/** Whether a file does anything when it is loaded, or could: types alone are never loaded. */
function hasCode(source: string): boolean {
  return /^(?:export )?(?:async |abstract )*(?:function|const|let|class|await|for|if|try)\b/m.test(
    source,
  );
}

const isUnitOnly = Deno.args.includes("--unit");
const beganMs = performance.now();
const folder = await Deno.makeTempDir({ prefix: "lotline-coverage-" });
try {
  const result = await measure(folder, isUnitOnly);
  const files = readLcov(await report(folder), ROOT);
  const { service, cutover } = tableOf(files);
  const table = formatTable([...service, ...cutover]);
  console.log(`\n${table}\n`);
  if (Deno.args.includes("--write") && !isUnitOnly) {
    await Deno.writeTextFile(PAGE, withTable(await Deno.readTextFile(PAGE), table));
  }
  // The unit tests alone are not meant to reach it.
  const missed = isUnitOnly ? [] : await listMissed(files);
  for (const line of missed) console.error(line);
  console.log(summaryOf(result, beganMs));
  Deno.exitCode = result.code || (missed.length > 0 ? 1 : 0);
} finally {
  await Deno.remove(folder, { recursive: true });
}
