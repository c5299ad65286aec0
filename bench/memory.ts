/**
 * Measures whether the memory of an API process grows with its requests.
 *
 * @module
 */

import { join } from "node:path";
import { withCosts } from "./costs.ts";
import { startPlant } from "./plant.ts";
import { residentMb } from "./process_cost.ts";
import { startLotline } from "./servers.ts";
import type { Study } from "./study.ts";
import { inDigits, markdownTable } from "./table.ts";
import { requestLines, workloadNamed } from "./workloads.ts";
import { runWrk } from "./wrk.ts";

const REQUESTS = 1_000_000;
/** The least number of requests between two samples. */
const STEP = 50_000;
const STRETCH_SECONDS = 1;
/** The slope is given for this many requests. */
const PER = 100_000;

/** The memory in RAM after so many requests. */
export interface Sample {
  readonly requests: number;
  readonly residentMb: number;
}

/** Half of the requests are for health, half are traces of random lots. */
export const MEMORY: Study = {
  name: "memory",
  async run({ requests = REQUESTS, wrk, folder, say }) {
    await using stack = new AsyncDisposableStack();
    say("Starting PostgreSQL 17 and filling the demo plant");
    const server = stack.use(await startPlant(folder));
    const place = { databaseUrl: await server.copy("lotline"), folder: join(folder, "lotline") };
    await Deno.mkdir(place.folder);
    const { pid, url } = stack.use(await startLotline(place, { AUTH_MODE: "legacy" }));
    const requestFile = join(folder, "mix.requests");
    const [health = ""] = requestLines(workloadNamed("health").requests(server.plant)).split(/^/m);
    const traces = requestLines(workloadNamed("trace").requests(server.plant)).split(/^/m);
    await Deno.writeTextFile(requestFile, traces.map((trace) => health + trace).join(""));

    const samples: Sample[] = [{ requests: 0, residentMb: await residentMb(pid) }];
    const response = async () => {
      let done = 0;
      while (done < requests) {
        const load = await runWrk({
          wrk,
          url,
          requestFile,
          label: crypto.randomUUID(),
          seconds: STRETCH_SECONDS,
        });
        if (load.requests === 0 || load.refused > 0 || load.broken > 0) {
          throw new Error(`${load.refused} of ${load.requests} refused, ${load.broken} broken`);
        }
        const before = done;
        done += load.requests;
        if (Math.floor(done / STEP) === Math.floor(before / STEP)) continue;
        const sample = { requests: done, residentMb: await residentMb(pid) };
        say(`${inDigits(done, 0)} requests: ${inDigits(sample.residentMb, 0)} MB`);
        samples.push(sample);
      }
    };
    const { costs } = await withCosts({ serverPids: [pid], databasePid: server.pid }, response);
    return {
      text: memoryTable(samples),
      figures: { samples, slopeMb: slopeOf(secondHalf(samples)) },
      takenByOthers: [costs.others / costs.all],
    };
  },
};

/** The first half includes the compilers and caches of a process that has just started. */
export function secondHalf(samples: readonly Sample[]): Sample[] {
  const half = (samples.at(-1)?.requests ?? 0) / 2;
  return samples.filter(({ requests }) => requests >= half);
}

/** By how many MB memory grows in 100,000 requests, by least squares. */
export function slopeOf(samples: readonly Sample[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, n) => sum + n, 0) / values.length;
  const middle = mean(samples.map(({ requests }) => requests));
  const middleMb = mean(samples.map(({ residentMb }) => residentMb));
  let both = 0, square = 0;
  for (const { requests, residentMb } of samples) {
    both += (requests - middle) * (residentMb - middleMb);
    square += (requests - middle) ** 2;
  }
  return PER * both / square;
}

/** One line: the first sample, the last one, and the growth. */
export function memoryTable(samples: readonly Sample[]): string {
  const mb = samples.map(({ residentMb }) => residentMb);
  return markdownTable(
    ["requests", "MB at first", "MB at last", "MB at most", "MB more in 100,000, second half"],
    [[
      inDigits(samples.at(-1)?.requests ?? 0, 0),
      inDigits(mb[0] ?? NaN, 0),
      inDigits(mb.at(-1) ?? NaN, 0),
      inDigits(Math.max(...mb), 0),
      inDigits(slopeOf(secondHalf(samples)), 2),
    ]],
  );
}
