/**
 * `deno task odd-requests [--seed N] [--requests N] [--route OPERATION] [--number N] [--postgres
 * 15|17] [--each]`: sends odd requests to the old server's stand-in and to Lotline. It compares the
 * responses as the gateway does, and the rows that both have stored. The default is 300 requests of
 * each operation. `--number` sends one of them alone; `--each` shows each finding, not one of a
 * kind.
 *
 * Exits with 1 after a difference that no rule approves, with 2 when it can't run.
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { CapturedResponse } from "../exchange/exchange.ts";
import { fieldOf, parseLosslessJson, stringOf } from "../exchange/lossless_json.ts";
import { LEGACY_OPERATIONS, type LegacyOperation } from "../exchange/operations.ts";
import { decodedText } from "../exchange/decoded_body.ts";
import type { Major } from "../../testing/postgres_servers.ts";
import { mayBeRefused, type Recipe, recipeOf, requestOf, shrink } from "./generate.ts";
import { loadPlant } from "./plant.ts";
import type { Lane, Trial } from "./lane.ts";
import { startTwins } from "./twins.ts";
import { commandOf } from "./wire.ts";
import { answerHelp } from "../../task_help.ts";

const USAGE = "usage: deno task odd-requests [--seed N] [--requests N] [--route OPERATION] " +
  "[--number N] [--postgres 15|17] [--each]";

answerHelp({
  task: "odd-requests",
  usage: USAGE,
  notes:
    "300 requests of each operation by default; --number sends one of them alone, and --each " +
    "shows each finding.",
  exit: "0 no difference; 1 one that no rule approves; 2 it can't run",
});
const options = readOptions();
const began = performance.now();
console.log(`seed ${options.seed}, ${options.requests} requests of each operation`);
await using twins = await startTwins({ major: options.major });
const plant = await loadPlant(twins.legacyUrl);
const rows = await Promise.all(options.operations.map(runOperation));
const seconds = Math.round((performance.now() - began) / 1000);
console.log(
  [
    "",
    "| operation | requests | same | approved | refused | elsewhere | different |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ...rows.map(({ line }) => line),
    "",
  ].join("\n"),
);
const approvals = new Map<string, number>();
for (const row of rows) {
  for (const [id, count] of row.approvals) approvals.set(id, (approvals.get(id) ?? 0) + count);
}
console.log(
  `Approvals used: ${[...approvals].map(([id, count]) => `${id} ${count}`).join(", ") || "none"}`,
);
const found = rows.reduce((sum, { different }) => sum + different, 0);
const unrepeated = rows.reduce((sum, row) => sum + row.unrepeated, 0);
if (unrepeated > 0) console.log(`${unrepeated} findings didn't come again`);
console.log(`${found === 0 ? "ok" : `FAILED: ${found} requests differ`} (${seconds} s)`);
Deno.exitCode = found === 0 ? 0 : 1;

function readOptions() {
  try {
    const { values } = parseArgs({
      args: Deno.args,
      options: {
        seed: { type: "string", default: "1" },
        requests: { type: "string", default: "300" },
        route: { type: "string" },
        number: { type: "string" },
        postgres: { type: "string", default: "17" },
        each: { type: "boolean", default: false },
      },
    });
    const whole = (text: string) => {
      if (!/^[0-9]{1,9}$/.test(text)) throw new TypeError(`${text} is not a whole number`);
      return Number(text);
    };
    const operations = LEGACY_OPERATIONS.filter((one) =>
      values.route === undefined || values.route === one
    );
    if (operations.length === 0) throw new TypeError(`${values.route} is no old operation`);
    const major = ([15, 17] satisfies Major[]).find((one) => String(one) === values.postgres);
    if (major === undefined) throw new TypeError("PostgreSQL is 15 or 17");
    return {
      operations,
      major,
      each: values.each,
      seed: whole(values.seed),
      first: values.number === undefined ? 0 : whole(values.number),
      requests: values.number === undefined ? whole(values.requests) : 1,
    };
  } catch (error) {
    console.error(`${error instanceof TypeError ? error.message : error}\n${USAGE}`);
    Deno.exit(2);
  }
}

async function runOperation(operation: LegacyOperation) {
  await using lane = await twins.lane(operation);
  const counts = { same: 0, approved: 0, refused: 0, elsewhere: 0, different: 0 };
  const approvals = new Map<string, number>();
  const kinds = new Map<string, number>();
  let unrepeated = 0;
  for (let number = options.first; number < options.first + options.requests; number++) {
    const recipe = recipeOf(options.seed, operation, number);
    const trial = await send(lane, recipe);
    // A finding that doesn't recur was caused by a race or a busy machine, not by this request.
    const isRepeated = trial.outcome !== "different" ||
      (await send(lane, recipe)).outcome === "different";
    counts[isRepeated ? trial.outcome : "same"]++;
    for (const id of trial.approvals) approvals.set(id, (approvals.get(id) ?? 0) + 1);
    if (!isRepeated) {
      console.log(`${describe(recipe, trial)}\n  only once: when repeated, nothing differed`);
      unrepeated++;
    }
    if (trial.outcome !== "different" || !isRepeated) continue;
    const kind = kindOf(trial);
    const times = (kinds.get(kind) ?? 0) + 1;
    kinds.set(kind, times);
    if (times > 1 && !options.each) continue;
    const smallest = await shrink(
      recipe,
      async (fewer) => kindOf(await send(lane, fewer)) === kind,
    );
    console.log(describe(smallest, await send(lane, smallest)));
  }
  for (const [kind, times] of kinds) {
    if (times > 1) console.log(`${times} times, ${operation}: ${kind}`);
  }
  const { same, approved, refused, elsewhere, different } = counts;
  const line = `| ${operation} | ${options.requests} | ${same} | ${approved} | ${refused} | ` +
    `${elsewhere} | ${different} |`;
  return { line, different, unrepeated, approvals };
}

function send(lane: Lane, recipe: Recipe): Promise<Trial> {
  const request = requestOf(recipe, plant);
  return lane.ask(request, mayBeRefused(recipe, request));
}

/** What findings of one kind share: values and positions are left out. */
function kindOf({ differences, legacy, service, outcome }: Trial): string {
  if (outcome !== "different") return outcome;
  const places = [
    ...new Set(differences.map(({ place }) => place.replaceAll(/\[\d*\]|\.\d+/g, "[]"))),
  ];
  return [legacy, service].map((response) => `${response?.status} ${sentenceOf(response)}`).join(
    " → ",
  ) +
    `; ${places.join(", ")}`;
}

/** An error's message, without the names and numbers in it. */
function sentenceOf(response: CapturedResponse | undefined): string {
  const body = parseLosslessJson(response && decodedText(response) || "");
  const sentence = stringOf(fieldOf(body, "error")) ?? "";
  return sentence.replaceAll(/"[^"]*"|\d+/g, "…").slice(0, 60);
}

function describe(recipe: Recipe, trial: Trial): string {
  const { operation, seed, number, steps } = recipe;
  const short = (text: string | undefined) => JSON.stringify(text)?.slice(0, 300) ?? "nothing";
  return [
    "",
    `FOUND ${operation}, --seed ${seed} --route ${operation} --number ${number}`,
    `  with ${steps.map(({ mutation }) => mutation.name).join("; ")}`,
    `  ${commandOf(requestOf(recipe, plant))}`,
    ...trial.differences.slice(0, 6).map(({ place, legacy, service }) =>
      `  ${place}: ${short(legacy)} became ${short(service)}`
    ),
  ].join("\n");
}
