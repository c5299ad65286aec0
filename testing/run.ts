/**
 * Runs tests, with the PostgreSQL servers that they share already started.
 *
 * - without arguments: format, lint and types (`deno task check`), then all tests, each where it
 *   shows most: the service's in a copy of the tree without the cutover, the cutover's in this tree.
 *   A table shows what the unit tests reach.
 * - files or folders: their tests in this tree, such as `faults/` or `faults/postgres_test.ts`;
 * - anything else goes to `deno test` as it is: `routes/ --filter "lot code"`.
 *
 * The last line is the sum.
 *
 * @module
 */
import { withSharedServers } from "./shared_servers.ts";
import { listTests, testsAt } from "./test_files.ts";
import { denoTest, PASSED, type RunResult, runTests, summaryOf } from "./test_run.ts";
import { runAllTests } from "./whole_run.ts";
import { answerHelp } from "../task_help.ts";

const ROOT = new URL("../", import.meta.url);
const beganMs = performance.now();

/** Whether all arguments are files or folders of the tree. */
async function arePaths(args: readonly string[]): Promise<boolean> {
  for (const path of args) {
    const found = await Deno.stat(path).catch(() => undefined);
    if (found === undefined) return false;
  }
  return args.length > 0;
}

function run(args: readonly string[]): Promise<RunResult> {
  return withSharedServers(async (env) => {
    if (!await arePaths(args)) return await denoTest(args, env);
    const chosen = testsAt(await listTests(ROOT.pathname), args);
    if (chosen.length > 0) return await runTests(chosen, { env });
    console.error(`There are no tests in ${args.join(", ")}`);
    return { ...PASSED, code: 1, failed: 1 };
  });
}

answerHelp({
  task: "test",
  usage: `usage: deno task test                           checks, then all tests
       deno task test FILE… | FOLDER…           their tests
       deno task test FOLDER --filter "name"    as deno test takes it`,
  exit: "0 all tests pass; 1 not so",
});
const result = Deno.args.length === 0 ? await runAllTests() : await run(Deno.args);
console.log(summaryOf(result, beganMs));
Deno.exitCode = result.code;
