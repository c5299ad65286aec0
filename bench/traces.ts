/**
 * Deep traces on a large plant: our job beside a recursive statement and a walk lot by lot.
 *
 * @module
 */

import { join } from "node:path";
import { connect } from "../db/connect.ts";
import { migrate } from "../db/migrate.ts";
import { startPostgres } from "../dev/postgres.ts";
import { fillBigPlant } from "./big_plant.ts";
import { machineTime, treeCpuSeconds } from "./process_cost.ts";
import type { Study } from "./study.ts";
import { inDigits, markdownTable, median, ratioText, spreadOf } from "./table.ts";
import { TRACE_WAYS, type WayReport } from "./trace_ways.ts";

const LOTS = 1_000_000;
/** How many lots a trace has, and how many such traces a run takes. */
const SIZES: readonly (readonly [size: number, traces: number])[] = [
  [10, 40],
  [1_000, 20],
  [10_000, 5],
  [100_000, 1],
];
/** Of more lots a walk lot by lot takes minutes, and a request is answered before its trace is done. */
const MOST_LOTS: Readonly<Record<string, number>> = {
  per_lot: 10_000,
  inline: 1_000,
  old_server: 1_000,
};
/** What the slowest ways trace, in the end, since they take the indexes away. */
const SAMPLED_SIZE = 1_000;

/** One way with traces of one size. */
export interface WayRun {
  readonly size: number;
  readonly way: string;
  readonly round: number;
  /** Of one trace, the middle one. */
  readonly ms: number;
  readonly peakMb: number;
}

export const TRACES: Study = {
  name: "traces",
  async run({ rounds, folder, say }) {
    await using server = await startPostgres({ major: 17, dataDir: join(folder, "postgres") });
    await migrate(server.url, () => {});
    say(`Filling a plant with ${inDigits(LOTS, 0)} lots`);
    const sql = connect({ url: server.url, max: 1, statementTimeoutMs: 0, name: "lotline-bench" });
    const plant = await fillBigPlant(sql, LOTS, SIZES.map(([size]) => size));
    const runs: WayRun[] = [];
    const takenByOthers: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      for (const [size, traces] of SIZES) {
        say(`Round ${round} of ${rounds}: ${inDigits(size, 0)} lots`);
        // Other lots each round: what one run has left in memory is no use for the next.
        const [warmUp = "", ...firstLots] = plant.firstLots.get(size) ?? [];
        const start = (round - 1) * traces % firstLots.length;
        const codes = firstLots.slice(start, start + traces);
        for (const way of TRACE_WAYS) {
          if (way.sample !== undefined || size > (MOST_LOTS[way.name] ?? Infinity)) continue;
          await sql`checkpoint`;
          const before = await spent(server.pid);
          const report = await runWay(way.name, server.url, [warmUp, ...codes]);
          const after = await spent(server.pid);
          takenByOthers.push((after.others - before.others) / (after.all - before.all));
          const wrong = report.found.find(({ lots }) => lots !== size);
          if (wrong) throw new Error(`${way.name} found ${wrong.lots} lots and not ${size}`);
          runs.push({ size, way: way.name, round, ms: median(report.ms), peakMb: report.peakMb });
        }
      }
    }
    const [warmUp = "", ...firstLots] = plant.firstLots.get(SAMPLED_SIZE) ?? [];
    for (const { name, sample } of TRACE_WAYS) {
      if (sample === undefined) continue;
      for (let round = 1; round <= rounds; round++) {
        say(`Round ${round} of ${rounds}: ${sample} lots without indexes on links`);
        const codes = [warmUp, firstLots[round] ?? ""];
        const { ms, peakMb } = await runWay(name, server.url, codes);
        const scaled = median(ms) * SAMPLED_SIZE / sample;
        runs.push({ size: SAMPLED_SIZE, way: name, round, ms: scaled, peakMb });
      }
    }
    await sql.end({ timeout: 1 });
    return {
      text: `${inDigits(plant.lots, 0)} lots, ${inDigits(plant.links, 0)} links; medians of ` +
        `${rounds} rounds · ratio to the statement (least–greatest)\n\n${traceTable(runs)}`,
      figures: { rounds, lots: plant.lots, links: plant.links, runs },
      takenByOthers: takenByOthers.map((share) => Math.max(0, share)),
    };
  },
};

/** Time of the machine since its start, and how much of it others took. */
async function spent(databasePid: number): Promise<{ all: number; others: number }> {
  const { all, idle, own } = await machineTime();
  return { all, others: all - idle - own - await treeCpuSeconds(databasePid) };
}

async function runWay(way: string, url: string, codes: readonly string[]): Promise<WayReport> {
  const program = new URL("./trace_ways.ts", import.meta.url).pathname;
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", program, way, url, ...codes],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`${way} failed`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** One row a size and way. */
export function traceTable(runs: readonly WayRun[]): string {
  const rows = SIZES.flatMap(([size]) =>
    TRACE_WAYS.flatMap(({ name, title }) => {
      const own = runs.filter((run) => run.size === size && run.way === name);
      if (own.length === 0) return [];
      const ratio = spreadOf(own.flatMap(({ round, ms }) => {
        const other = runs.find((run) =>
          run.size === size && run.way === "statement" && run.round === round
        );
        return other === undefined ? [] : [ms / other.ms];
      }));
      const ms = inDigits(median(own.map(({ ms }) => ms)), 1);
      return [[
        `${inDigits(size, 0)} lots: ${title}`,
        name === "statement" || ratio === undefined ? ms : `${ms} · ${ratioText(ratio)}`,
        inDigits(median(own.map(({ peakMb }) => peakMb)), 0),
      ]];
    })
  );
  return markdownTable(["", "ms", "process MB at most"], rows);
}
