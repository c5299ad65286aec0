/**
 * `deno task bench gateway [--seconds N] [--json]`: what the gateway adds to a request.
 *
 * @module
 */

import { readOptions, runStudy } from "../../bench/run_study.ts";
import { GATEWAY } from "./gateway.ts";
import { answerHelp } from "../../task_help.ts";

answerHelp({ task: "bench-gateway", args: "[--seconds N] [--json]" });
try {
  await runStudy(GATEWAY, readOptions(Deno.args).options);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exit(1);
}
