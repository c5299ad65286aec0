/**
 * `deno task contract`: makes the types from openapi.yaml, builds oasdiff, and runs the tests of the
 * contract. With `--release` the contract is also frozen as that of the release.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { answerHelp } from "../task_help.ts";
import { deno } from "../testing/service_copy.ts";
import { findRelease, freezeContract } from "./released.ts";

answerHelp({
  task: "contract",
  args: "[--release]",
  notes: "  --release  copies openapi.yaml to contract/released.yaml, before the release is tagged",
  exit: "0 the contract holds; 1 not so",
});

const ROOT = new URL("../", import.meta.url).pathname;
const TESTS = ["contract_test.ts", "drift_test.ts", "breaking_test.ts", "released_test.ts"];
const { release } = parseArgs({
  args: Deno.args,
  options: { release: { type: "boolean", default: false } },
}).values;

async function run(...args: string[]): Promise<void> {
  const code = await deno(ROOT, args);
  if (code !== 0) Deno.exit(code);
}

const check = () => run("test", "-A", ...TESTS.map((test) => `contract-tests/${test}`));

async function freeze(): Promise<void> {
  try {
    const tag = await freezeContract(ROOT);
    console.log(`contract/released.yaml is openapi.yaml now. Commit it, then: git tag ${tag}`);
  } catch (thrown) {
    console.error(thrown instanceof Error ? thrown.message : thrown);
    Deno.exit(1);
  }
}

await run("run", "-A", "contract/generate.ts");
await run("run", "-A", "contract-tests/oasdiff.ts");
// What no release has promised yet can't be broken.
const isFirst = release && await findRelease(ROOT) === undefined;
if (isFirst) await freeze();
await check();
if (release && !isFirst) await freeze();
