/**
 * One API process beside two that share a port.
 *
 * @module
 */

import { join } from "node:path";
import { freePort } from "../dev/free_port.ts";
import { withCosts } from "./costs.ts";
import { startPlant } from "./plant.ts";
import { cpuSeconds } from "./process_cost.ts";
import { type Running, startLotline } from "./servers.ts";
import type { Study } from "./study.ts";
import { inDigits, markdownTable, median, ratioText, spreadOf } from "./table.ts";
import { requestLines, workloadNamed } from "./workloads.ts";
import { runWrk } from "./wrk.ts";

const SECONDS = 5;
const WARM_UP_SECONDS = 2;
const COUNTS = [1, 2];
const WORKLOADS = ["health", "trace"].map(workloadNamed);

/** So many processes under one workload for some seconds. */
export interface ProcessesRun {
  readonly workload: string;
  readonly processes: number;
  readonly round: number;
  readonly requestsPerSecond: number;
  readonly p99Ms: number;
  /** Of all processes together, for 1,000 requests. */
  readonly serverCpuSeconds: number;
  /** Of what the processes took, the share of the one that took least. */
  readonly leastShare: number;
}

export const PROCESSES: Study = {
  name: "processes",
  async run({ rounds, seconds = SECONDS, wrk, folder, say }) {
    await using stack = new AsyncDisposableStack();
    say("Starting PostgreSQL 17 and filling the demo plant");
    const server = stack.use(await startPlant(folder));
    const databaseUrl = await server.copy("lotline");
    const field: Running[][] = [];
    for (const count of COUNTS) {
      say(`Starting: API, ${count} on one port`);
      const port = freePort();
      const group: Running[] = [];
      for (let number = 1; number <= count; number++) {
        const place = { databaseUrl, folder: join(folder, `lotline-${count}-${number}`) };
        await Deno.mkdir(place.folder);
        const settings = { AUTH_MODE: "legacy", REUSE_PORT: "1" };
        group.push(stack.use(await startLotline(place, settings, port)));
      }
      field.push(group);
    }
    const runs: ProcessesRun[] = [];
    const takenByOthers: number[] = [];
    for (const { name, requests } of WORKLOADS) {
      const requestFile = join(folder, `${name}.requests`);
      await Deno.writeTextFile(requestFile, requestLines(requests(server.plant)));
      const load = (url: string, seconds: number) =>
        runWrk({ wrk, url, requestFile, label: crypto.randomUUID(), seconds });
      for (const [first] of field) await load(first?.url ?? "", WARM_UP_SECONDS);
      for (let round = 1; round <= rounds; round++) {
        for (const group of field) {
          say(`${name}, round ${round} of ${rounds}: ${group.length} on one port`);
          const serverPids = group.map(({ pid }) => pid);
          const before = await Promise.all(serverPids.map(cpuSeconds));
          const { result, costs } = await withCosts(
            { serverPids, databasePid: server.pid },
            () => load(group[0]?.url ?? "", seconds),
          );
          const after = await Promise.all(serverPids.map(cpuSeconds));
          const { requests, refused, broken } = result;
          if (requests === 0 || refused > 0 || broken > 0) {
            throw new Error(`${name}: of ${requests} answers ${refused} refused, ${broken} broken`);
          }
          const each = after.map((spent, i) => spent - (before[i] ?? NaN));
          runs.push({
            workload: name,
            processes: group.length,
            round,
            requestsPerSecond: requests / result.seconds,
            p99Ms: result.p99Ms,
            serverCpuSeconds: costs.server * 1_000 / requests,
            leastShare: Math.min(...each) / costs.server,
          });
          takenByOthers.push(costs.others / costs.all);
        }
      }
    }
    return {
      text: `Medians of ${rounds} rounds of ${seconds} s · ratio to one process ` +
        `(least–greatest)\n\n${processesTable(runs)}`,
      figures: { rounds, seconds, runs },
      takenByOthers,
    };
  },
};

/** A line for each workload and number of processes. */
export function processesTable(runs: readonly ProcessesRun[]): string {
  const rows = WORKLOADS.flatMap(({ name }) =>
    COUNTS.map((processes) => {
      const of = (count: number) =>
        runs.filter((run) => run.workload === name && run.processes === count);
      const own = of(processes);
      const cell = (
        figure: "requestsPerSecond" | "p99Ms" | "serverCpuSeconds",
        digits: number,
      ) => {
        const value = inDigits(median(own.map((run) => run[figure])), digits);
        const ratio = spreadOf(own.map((run) => {
          const one = of(1).find(({ round }) => round === run.round);
          return run[figure] / (one?.[figure] ?? NaN);
        }));
        return processes === 1 || ratio === undefined ? value : `${value} · ${ratioText(ratio)}`;
      };
      return [
        `\`${name}\`, processes: ${processes}`,
        cell("requestsPerSecond", 0),
        cell("p99Ms", 1),
        cell("serverCpuSeconds", 3),
        `${inDigits(100 * median(own.map(({ leastShare }) => leastShare)), 0)} %`,
      ];
    })
  );
  return markdownTable(["", "requests/s", "p99 ms", "server CPU s / 1,000", "least share"], rows);
}
