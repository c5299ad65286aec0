/**
 * `deno task contract`: makes the types from openapi.yaml, builds oasdiff, and runs the tests of the
 * contract.
 *
 * @module
 */

import { answerHelp } from "../task_help.ts";
import { deno } from "../testing/service_copy.ts";

answerHelp({ task: "contract", exit: "0 the contract holds; 1 not so" });

const ROOT = new URL("../", import.meta.url).pathname;
const TESTS = ["contract_test.ts", "drift_test.ts", "breaking_test.ts"];

for (
  const args of [
    ["run", "-A", "contract/generate.ts"],
    ["run", "-A", "contract-tests/oasdiff.ts"],
    ["test", "-A", ...TESTS.map((test) => `contract-tests/${test}`)],
  ]
) {
  const code = await deno(ROOT, args);
  if (code !== 0) Deno.exit(code);
}
