/**
 * `deno task bench [workload…] [--json] [--seconds N] [--all]`: compares Lotline with the old
 * server's stand-in and with a bare server. This command starts all of them on this machine; `--all`
 * adds the stand-in in the states before our migrations.
 *
 * `deno task bench gateway|cold-start|growth` and `deno task bench memory [--requests N]`: other
 * measurements, one at a time.
 *
 * @module
 */

import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { claimFolder } from "../dev/folder_claim.ts";
import { makeReachableFolder, stateFolder } from "../dev/state_folder.ts";
import { type Contender, CONTENDERS } from "./contenders.ts";
import { goalTable, outcomesOf } from "./goals.ts";
import { measure } from "./measure.ts";
import { STUDIES } from "./studies.ts";
import type { Study } from "./study.ts";
import { tableOf } from "./table.ts";
import { type Workload, workloadNamed, WORKLOADS } from "./workloads.ts";
import { CONNECTIONS, findWrk } from "./wrk.ts";

const ROUNDS = 3;
const SECONDS = 5;
// With more than this of the machine taken, the figures say much about what else it does.
const QUIET = 0.1;

// What is told meanwhile stays out of what `--json` writes.
const say = (line: string) => console.error(`- ${line}`);

try {
  await run(readArguments(Deno.args));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exit(1);
}

interface Arguments {
  readonly study: Study;
  readonly seconds: number | undefined;
  readonly requests: number | undefined;
  readonly json: boolean;
}

function readArguments(args: string[]): Arguments {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      all: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      requests: { type: "string" },
      seconds: { type: "string" },
    },
  });
  const seconds = wholeNumber("seconds", values.seconds);
  const requests = wholeNumber("requests", values.requests);
  const contenders = CONTENDERS.filter(({ extra }) => values.all || !extra);
  const study = studyNamed(positionals, contenders);
  return { study, seconds, requests, json: values.json };
}

function wholeNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1) return number;
  throw new Error(`--${option} is to be a whole number from 1`);
}

function studyNamed(names: readonly string[], contenders: readonly Contender[]): Study {
  const study = STUDIES.find(({ name }) => name === names[0]);
  if (study !== undefined && names.length === 1) return study;
  const workloads = WORKLOADS.map(({ name }) => name);
  const unknown = names.filter((name) => !workloads.includes(name));
  if (unknown.length === 0) {
    return comparison(names.length === 0 ? WORKLOADS : names.map(workloadNamed), contenders);
  }
  const alone = STUDIES.map(({ name }) => name);
  throw new Error(
    `There is no workload ${unknown.join(", ")}; there are ${workloads.join(", ")}, ` +
      `and by itself ${alone.join(" or ")}`,
  );
}

/** All these contenders beside each other. */
function comparison(workloads: readonly Workload[], contenders: readonly Contender[]): Study {
  return {
    name: "comparison",
    async run({ seconds = SECONDS, ...options }) {
      const { rounds } = options;
      const runs = await measure({ ...options, contenders, workloads, seconds });
      const outcomes = outcomesOf(runs, contenders);
      return {
        text: `${CONNECTIONS} connections, median of ${rounds} rounds of ${seconds} s · ratio ` +
          `(least–greatest)\n\n${tableOf(runs, workloads, contenders)}\n` +
          `**Goals** (\`old\` is the first contender of each table)\n\n${goalTable(outcomes)}`,
        figures: { rounds, seconds, connections: CONNECTIONS, runs, goals: outcomes },
        takenByOthers: runs.map(({ takenByOthers }) => takenByOthers),
      };
    },
  };
}

async function run({ study, seconds, requests, json }: Arguments): Promise<void> {
  if (Deno.build.os !== "linux") {
    throw new Error("The benchmark reads what processes cost from /proc: it runs on Linux only");
  }
  const wrk = await findWrk(say);
  if (wrk === undefined) throw new Error("There is nothing to make load with");
  await using folder = await takeFolder();
  const report = await study.run({
    rounds: ROUNDS,
    ...seconds !== undefined && { seconds },
    ...requests !== undefined && { requests },
    wrk,
    folder: folder.path,
    say,
  });
  sayWhatOthersTook(report.takenByOthers);
  const at = new Date().toISOString();
  if (json) {
    console.log(JSON.stringify({ at, ...machine(), ...report.figures }, undefined, 2));
  } else {
    const { cores, processor, deno } = machine();
    console.log(`\n${cores} cores (${processor}), Deno ${deno}\n${report.text}`);
  }
}

function sayWhatOthersTook(shares: readonly number[]): void {
  const taken = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  const most = percent(Math.max(...shares));
  if (taken > QUIET) say("CAREFUL: this machine was busy otherwise, the figures are off");
  say(`Other programs took ${percent(taken)} of the machine, ${most} in the worst run`);
}

function machine(): { cores: number; processor: string; deno: string } {
  const all = cpus();
  return { cores: all.length, processor: all[0]?.model ?? "unknown", deno: Deno.version.deno };
}

/**
 * A folder on the disk that data is kept on: the system's temporary one may be in memory. It always
 * has the same name, so that what a killed run left is cleared away.
 *
 * @throws Error when another benchmark is running on it
 */
async function takeFolder(): Promise<{ path: string } & AsyncDisposable> {
  const state = stateFolder();
  makeReachableFolder(state);
  const path = join(state, "bench");
  const claim = await claimFolder(path);
  await clear(path);
  // PostgreSQL runs as another user when we are root.
  await Deno.mkdir(path, { mode: 0o755 });
  return {
    path,
    async [Symbol.asyncDispose]() {
      await clear(path);
      claim[Symbol.dispose]();
    },
  };
}

async function clear(folder: string): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}
