/**
 * `deno task fuzz [--mode legacy|required] [--seed N] [--examples N]`: runs schemathesis with all
 * phases and checks against a temporary service. The default is both modes, three seeds and 1,000
 * examples an operation.
 *
 * `deno task fuzz --unconfigured`: runs schemathesis as a client would who knows the published
 * document alone, without hooks and settings. The default is 300 examples, each seed twice on the
 * same data, and the first seed on `/openapi-3.0.json`.
 *
 * `deno task fuzz --openapi-fuzzer`: another fuzzer, which Cargo builds first.
 *
 * `deno task fuzz --short`: one seed with a few examples, in `required` with the hooks and in
 * `legacy` unconfigured.
 *
 * `deno task fuzz --install`: installs schemathesis and runs nothing.
 *
 * `deno task fuzz --planted`: a proxy breaks the contract in each of the violations of planted.ts;
 * the result is which check found it.
 *
 * Exits with 1 after a finding, an undetected violation, or a run of 1,000 examples that left out a
 * link of the document; with 2 when it can't run. Reports (JUnit, logs, all events) are in
 * `.data/fuzz`.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { AuthMode } from "../../auth/guard.ts";
import { PROJECT_FOLDER } from "../../dev/state_folder.ts";
import { type Instance, startInstance } from "./instance.ts";
import { documentOfMode, linksOf, operationsOf } from "./mode_document.ts";
import { plant, PLANTED, type Planted } from "./planted.ts";
import { installSchemathesis, runSchemathesis } from "./schemathesis.ts";
import { addEvents, newCounts, tableOf } from "./counts.ts";
import { installOpenapiFuzzer, NoOpenapiFuzzer, runOpenapiFuzzer } from "./openapi_fuzzer.ts";
import { fuzzPublished, runsOf } from "./unconfigured.ts";
import { answerHelp } from "../../task_help.ts";
import { NoPythonPackages } from "../../testing/python_packages.ts";

const MODES = ["legacy", "required"] as const;
const USAGE =
  "usage: deno task fuzz [--unconfigured] [--mode legacy|required] [--seed N] [--examples N]" +
  " | --openapi-fuzzer | --short | --planted | --install";
const LONG = { seeds: [1, 2, 3], examples: 1_000 };
const UNCONFIGURED = { seeds: [1, 2, 3], examples: 300 };
// Each failed login of `required` costs a hash.
const RANDOM = { seeds: [1], examples: 64 };
const SHORT = { seeds: [1], examples: 10 };
// Enough for a violation on the usual path; a violation that needs unusual input is planted to
// occur here.
const PLANTED_EXAMPLES = 30;
/** Sequences for each example, and their minimum: a sequence follows a link only by chance. */
const SEQUENCES = { perExample: 0.3, min: 40 };

answerHelp({
  task: "fuzz",
  usage: USAGE,
  notes:
    "Both modes, three seeds and 1,000 examples an operation by default. --unconfigured uses neither " +
    "hooks nor settings, 300 examples, and each seed twice on the same data. --openapi-fuzzer runs " +
    "another fuzzer, 64 requests an operation; it needs Rust's cargo. --planted shows which " +
    "check finds each planted violation; --install installs schemathesis alone.",
  exit: "0 no finding; 1 a finding, or a violation that no check found; 2 it can't run",
});
const options = readOptions();
const folder = join(PROJECT_FOLDER, ".data", "fuzz");
const say = (line: string) => console.log(line);
const began = performance.now();

try {
  if (options.isOpenapiFuzzer) await installOpenapiFuzzer(say);
  else await installSchemathesis(say);
} catch (error) {
  if (!(error instanceof NoPythonPackages) && !(error instanceof NoOpenapiFuzzer)) throw error;
  console.error(error.message);
  Deno.exit(2);
}
if (options.installs) Deno.exit(0);
await Deno.mkdir(folder, { recursive: true });
const documents = new Map(MODES.map((mode) => [mode, join(folder, `openapi.${mode}.json`)]));
for (const [mode, file] of documents) {
  await Deno.writeTextFile(file, JSON.stringify(documentOfMode(mode)));
}
const isGreen = await run();
say(`${isGreen ? "ok" : "FAILED"} (${Math.round((performance.now() - began) / 1000)} s)`);
Deno.exit(isGreen ? 0 : 1);

async function run(): Promise<boolean> {
  if (options.planted) return await fuzzPlanted();
  if (options.isOpenapiFuzzer) return await fuzzRandomly();
  if (options.isUnconfigured) return await fuzzUnconfigured(options.modes);
  if (!options.isShort) return await fuzzAll(options.modes);
  const results = await Promise.all([fuzzAll(["required"]), fuzzUnconfigured(["legacy"])]);
  return results.every(Boolean);
}

function readOptions() {
  try {
    const { values } = parseArgs({
      args: Deno.args,
      options: {
        seed: { type: "string" },
        examples: { type: "string" },
        short: { type: "boolean", default: false },
        unconfigured: { type: "boolean", default: false },
        "openapi-fuzzer": { type: "boolean", default: false },
        mode: { type: "string" },
        planted: { type: "boolean", default: false },
        install: { type: "boolean", default: false },
      },
    });
    const usual = values.short
      ? SHORT
      : values["openapi-fuzzer"]
      ? RANDOM
      : values.unconfigured
      ? UNCONFIGURED
      : LONG;
    const whole = (text: string) => {
      if (!/^[0-9]{1,9}$/.test(text)) throw new TypeError(`${text} is not a whole number`);
      return Number(text);
    };
    const modes = MODES.filter((mode) => values.mode === undefined || values.mode === mode);
    if (modes.length === 0) throw new TypeError(`${values.mode} is no AUTH_MODE`);
    return {
      modes,
      planted: values.planted,
      isShort: values.short,
      isUnconfigured: values.unconfigured,
      isOpenapiFuzzer: values["openapi-fuzzer"],
      installs: values.install,
      seeds: values.seed === undefined ? usual.seeds : [whole(values.seed)],
      examples: values.examples === undefined
        ? usual.examples
        : Math.max(1, whole(values.examples)),
    };
  } catch (error) {
    console.error(`${error instanceof TypeError ? error.message : error}\n${USAGE}`);
    Deno.exit(2);
  }
}

async function fuzz(mode: AuthMode, at: Instance, name: string, how: {
  readonly seed: number;
  readonly examples: number;
  readonly sequences: number;
  readonly operation?: string;
}) {
  const document = documents.get(mode) ?? "";
  return await runSchemathesis({ ...at, document, folder, name, ...how });
}

async function fuzzRandomly(): Promise<boolean> {
  const results = [];
  for (const mode of options.modes) {
    results.push(await runOpenapiFuzzer(mode, options.examples, say));
  }
  return results.every(Boolean);
}

async function fuzzUnconfigured(modes: readonly AuthMode[]): Promise<boolean> {
  const { seeds, examples, isShort } = options;
  const runs = runsOf({ seeds, examples, isShort });
  const results = [];
  // One after the other: a response that takes 10 seconds is a finding.
  for (const mode of modes) results.push(await fuzzPublished(mode, runs, folder, say));
  return results.every(Boolean);
}

async function fuzzAll(modes: readonly AuthMode[]): Promise<boolean> {
  // In parallel: schemathesis uses one thread.
  const results = await Promise.all(modes.map(fuzzMode));
  const missed = new Set(linksOf(documentOfMode("legacy")));
  for (const { links } of results) for (const link of links) missed.delete(link);
  for (const link of missed) say(`not followed: ${link}`);
  say(`JUnit reports: ${folder}/*.xml`);
  return results.every(({ isGreen }) => isGreen) &&
    (options.examples < LONG.examples || missed.size === 0);
}

async function fuzzMode(mode: AuthMode): Promise<{ isGreen: boolean; links: Set<string> }> {
  const counts = newCounts();
  let isGreen = true;
  await using instance = await startInstance(mode);
  for (const seed of options.seeds) {
    const started = performance.now();
    const name = `${mode}-${seed}`;
    const { examples } = options;
    const sequences = Math.max(Math.round(examples * SEQUENCES.perExample), SEQUENCES.min);
    const run = await fuzz(mode, instance, name, { seed, examples, sequences });
    await addEvents(counts, run.events);
    isGreen &&= run.isGreen;
    if (!run.isGreen) say(run.output);
    const seconds = Math.round((performance.now() - started) / 1000);
    say(`AUTH_MODE=${mode}, seed ${seed}: ${run.isGreen ? "ok" : "FAILED"} (${seconds} s)`);
  }
  say(`\nAUTH_MODE=${mode}\n\n${tableOf(counts, operationsOf(documentOfMode(mode)))}\n`);
  return { isGreen, links: counts.links };
}

async function fuzzPlanted(): Promise<boolean> {
  const rows: string[] = [];
  let isGreen = true;
  for (const mode of options.modes) {
    await using instance = await startInstance(mode);
    for (const planted of PLANTED.filter((one) => one.mode === mode)) {
      const caught = await checksThatNotice(planted, instance, rows.length);
      const isCaught = planted.check === undefined
        ? caught.length === 0
        : caught.includes(planted.check);
      isGreen &&= isCaught;
      rows.push(`| ${planted.what} | ${isCaught ? "" : "WRONG: "}${caught.join(", ") || "none"} |`);
      say(rows.at(-1) ?? "");
    }
  }
  say(["", "| planted | noticed by |", "| --- | --- |", ...rows, ""].join("\n"));
  return isGreen;
}

async function checksThatNotice(planted: Planted, instance: Instance, number: number) {
  await using proxy = plant(planted, instance.url);
  const { events } = await fuzz(
    planted.mode,
    { ...instance, url: proxy.url },
    `planted-${number}`,
    {
      // A new one each time, since the rows of the last one would conflict.
      seed: (options.seeds[0] ?? 1) + number,
      examples: PLANTED_EXAMPLES,
      sequences: PLANTED_EXAMPLES,
      operation: planted.operation,
    },
  );
  const counts = newCounts();
  await addEvents(counts, events);
  return [...new Set([...counts.failures.values()].flatMap((checks) => [...checks.keys()]))];
}
