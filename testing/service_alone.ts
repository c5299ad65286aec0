/**
 * Shows that the service lives without the cutover: runs `deno task test` in a copy of the tree
 * without it. `--check` runs the checks only; other arguments go to `test`.
 *
 * @module
 */
import { copyService, deno } from "./service_copy.ts";
import { answerHelp } from "../task_help.ts";

answerHelp({ task: "service-alone", args: "[--check | FILE… | FOLDER…]" });
await using copy = await copyService();
console.log(`The service alone, in ${copy.path}`);
const isCheckOnly = Deno.args.join() === "--check";
Deno.exitCode = await deno(
  copy.path,
  ["task", ...(isCheckOnly ? ["check"] : ["test", ...Deno.args])],
);
