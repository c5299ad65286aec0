/**
 * Runs tests, with the PostgreSQL servers that they share already started.
 *
 * - without arguments: format, lint and types (`deno task check`), then all tests;
 * - `--rest`: the same, without what `deno task service-alone` and `deno task coverage --unit` run;
 * - files or folders: their tests, such as `faults/` or `faults/postgres_test.ts`;
 * - anything else goes to `deno test` as it is: `routes/ --filter "lot code"`.
 *
 * The last line is the sum.
 *
 * @module
 */
import { listTests, restOf, testsAt } from "./test_files.ts";
import { denoTest, type RunResult, runTests, summaryOf } from "./test_run.ts";
import { withSharedServers } from "./shared_servers.ts";

const ROOT = new URL("../", import.meta.url);
const beganMs = performance.now();
const isRest = Deno.args.join() === "--rest";
const isWhole = Deno.args.length === 0 || isRest;

/** Whether all arguments are files or folders of the tree. */
async function arePaths(args: readonly string[]): Promise<boolean> {
  for (const path of args) {
    const found = await Deno.stat(path).catch(() => undefined);
    if (found === undefined) return false;
  }
  return args.length > 0;
}

/** Format, lint and types; resolves with whether they are right. */
async function check(): Promise<boolean> {
  const command = new Deno.Command(Deno.execPath(), { args: ["task", "--quiet", "check"] });
  return (await command.spawn().status).success;
}

function run(args: readonly string[]): Promise<RunResult> {
  return withSharedServers(async (env) => {
    const tests = await listTests(ROOT.pathname);
    if (isWhole) {
      const chosen = isRest ? restOf(tests) : tests;
      // The types were just checked, and would be for each run again.
      return await runTests(chosen, { options: ["--no-check"], env });
    }
    if (!await arePaths(args)) return await denoTest(args, env);
    const chosen = testsAt(tests, args);
    if (chosen.length > 0) return await runTests(chosen, { env });
    console.error(`There are no tests in ${args.join(", ")}`);
    return { code: 1, passed: 0, failed: 1 };
  });
}

if (isWhole && !await check()) Deno.exit(1);
const result = await run(Deno.args);
console.log(summaryOf(result, beganMs));
Deno.exitCode = result.code;
