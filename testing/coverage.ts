/**
 * Runs all tests and shows how many lines and branches they reach, by folder; `--write` also writes
 * the table into docs/coverage.md, and `--unit` runs the unit tests only, without those that have the
 * line `// Not measured: …`. It fails when a test fails, or when all tests reach less than
 * {@link TARGET}.
 *
 * The processes and threads that tests start are measured too: Deno reads `DENO_COVERAGE_DIR` in each
 * of them. One that is killed writes nothing.
 *
 * @module
 */
import { join } from "node:path";
import { coverageFolder, readCoverage } from "./coverage_report.ts";
import {
  type Coverage,
  formatTable,
  isMeasured,
  percentOf,
  tableOf,
  withTable,
} from "./coverage_table.ts";
import { withSharedServers } from "./shared_servers.ts";
import { listSources, listTests } from "./test_files.ts";
import { type RunResult, runTests, summaryOf, UNIT_OPTIONS } from "./test_run.ts";
import { answerHelp } from "../task_help.ts";

/** In percent, of the service and of the cutover each. */
const TARGET = { lines: 98, branches: 94 };

const ROOT = new URL("../", import.meta.url).pathname;
const PAGE = join(ROOT, "docs/coverage.md");

/** Runs the tests; what their processes reached is written into the folder of the environment. */
async function measure(coverage: Record<string, string>, isUnitOnly: boolean): Promise<RunResult> {
  const tests = await listTests(ROOT);
  if (isUnitOnly) {
    return await runTests(tests.filter(({ isMeasured }) => isMeasured), {
      options: UNIT_OPTIONS,
      env: coverage,
    });
  }
  return await withSharedServers((servers) =>
    runTests(tests, { options: ["--no-check"], env: { ...servers, ...coverage } })
  );
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

answerHelp({
  task: "coverage",
  args: "[--unit] [--write]",
  exit: "0 all tests pass and reach enough; 1 not so",
});
const isUnitOnly = Deno.args.includes("--unit");
const beganMs = performance.now();
await using folder = await coverageFolder();
const result = await measure(folder.env, isUnitOnly);
const files = await readCoverage(folder.path);
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
