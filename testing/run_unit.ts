/**
 * Runs the unit tests: those that start no process, and so need neither PostgreSQL nor Valkey.
 * Arguments narrow them down to files or folders.
 *
 * @module
 */
import { listTests, testsAt } from "./test_files.ts";
import { runTests, summaryOf, UNIT_OPTIONS } from "./test_run.ts";
import { answerHelp } from "../task_help.ts";

answerHelp({ task: "test:unit", args: "[FILE… | FOLDER…]", exit: "0 all tests pass; 1 not so" });
const beganMs = performance.now();
const root = new URL("../", import.meta.url).pathname;
const paths = Deno.args.length === 0 ? ["."] : Deno.args;
const tests = testsAt(await listTests(root), paths).filter(({ isUnitTest }) => isUnitTest);
const result = await runTests(tests, { options: UNIT_OPTIONS });
console.log(summaryOf(result, beganMs));
Deno.exitCode = tests.length === 0 ? 1 : result.code;
