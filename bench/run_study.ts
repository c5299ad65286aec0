/**
 * Runs one measurement, with all that it needs of this machine.
 *
 * @module
 */

import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { claimFolder } from "../dev/folder_claim.ts";
import { makeReachableFolder, stateFolder } from "../dev/state_folder.ts";
import type { Study } from "./study.ts";
import { findWrk } from "./wrk.ts";

const ROUNDS = 3;
// Above this share, the figures depend much on other load of the machine.
const QUIET = 0.1;

// Progress goes to stderr, so that it stays out of the output of `--json`.
const say = (line: string) => console.error(`- ${line}`);

/** Parses a command's arguments. @throws Error on an invalid one */
export function readOptions(
  args: string[],
): { readonly names: readonly string[]; readonly options: RunOptions } {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      requests: { type: "string" },
      seconds: { type: "string" },
    },
  });
  const options = {
    seconds: wholeNumber("seconds", values.seconds),
    requests: wholeNumber("requests", values.requests),
    json: values.json,
  };
  return { names: positionals, options };
}

function wholeNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1) return number;
  throw new Error(`--${option} is to be a whole number from 1`);
}

/** How a study runs, and how its report is shown. */
export interface RunOptions {
  readonly seconds: number | undefined;
  readonly requests: number | undefined;
  /** Shows every figure, as JSON, in place of the tables. */
  readonly json: boolean;
}

/** Runs a study on this machine and prints its report. @throws Error naming what is missing */
export async function runStudy(
  study: Study,
  { seconds, requests, json }: RunOptions,
): Promise<void> {
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
  const max = percent(Math.max(...shares));
  if (taken > QUIET) say("CAREFUL: this machine was busy otherwise, the figures are off");
  say(`Other programs took ${percent(taken)} of the machine, ${max} in the worst run`);
}

function machine(): { cores: number; processor: string; deno: string } {
  const all = cpus();
  return { cores: all.length, processor: all[0]?.model ?? "unknown", deno: Deno.version.deno };
}

/**
 * A folder on a real disk, since the system's temporary one may be in memory. Its name never
 * changes, so that leftovers of a killed run are removed.
 *
 * @throws Error when another benchmark is running on it
 */
async function takeFolder(): Promise<{ path: string } & AsyncDisposable> {
  const state = stateFolder();
  makeReachableFolder(state);
  const path = join(state, "bench");
  const claim = await claimFolder(path);
  await clear(path);
  // As root, PostgreSQL runs as another user.
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
