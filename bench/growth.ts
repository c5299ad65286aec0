/**
 * Measures whether a trace takes longer in a plant with a thousand times as many lots.
 *
 * @module
 */

import { join } from "node:path";
import { connect } from "../db/connect.ts";
import { migrate } from "../db/migrate.ts";
import { startPostgres } from "../dev/postgres.ts";
import { Random } from "../dev/random.ts";
import { type BigPlant, fillBigPlant } from "./big_plant.ts";
import { withCosts } from "./costs.ts";
import { type Running, startLegacyOnNode, startLotline } from "./servers.ts";
import type { Study, StudyOptions } from "./study.ts";
import { inDigits, markdownTable, median, ratioText, spreadOf } from "./table.ts";
import { requestLines } from "./workloads.ts";
import { runWrk } from "./wrk.ts";

const SECONDS = 5;
const WARM_UP_SECONDS = 2;
const PLANTS = [1_000, 1_000_000];
/** Both plants have campaigns of this size, so that their traces are alike. */
const CAMPAIGN = 1_000;
const VARIETY = 20_000;

/** One server on one plant for some seconds, one request at a time. */
export interface GrowthRun {
  readonly server: string;
  readonly lots: number;
  readonly round: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

interface Entrant {
  readonly title: string;
  readonly lots: number;
  readonly running: Running;
  readonly databasePid: number;
  readonly requestFile: string;
}

/** Single traces of random lots, on a small plant and a large one. */
export const GROWTH: Study = {
  name: "growth",
  async run(options) {
    const { rounds, seconds = SECONDS, wrk, say } = options;
    await using stack = new AsyncDisposableStack();
    const field: Entrant[] = [];
    for (const lots of PLANTS) field.push(...await startField(stack, lots, options));
    const load = ({ running: { url }, requestFile }: Entrant, seconds: number) =>
      runWrk({ wrk, url, requestFile, label: crypto.randomUUID(), seconds, connections: 1 });
    for (const entrant of field) await load(entrant, WARM_UP_SECONDS);
    const runs: GrowthRun[] = [];
    const takenByOthers: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      for (const entrant of field) {
        const { title, lots, running, databasePid } = entrant;
        say(`Round ${round} of ${rounds}: ${title}, ${inDigits(lots, 0)} lots`);
        const { result, costs } = await withCosts(
          { serverPids: [running.pid], databasePid },
          () => load(entrant, seconds),
        );
        const { requests, refused, broken, p50Ms, p99Ms } = result;
        if (requests === 0 || refused > 0 || broken > 0) {
          throw new Error(
            `${title}: of ${requests} responses ${refused} refused, ${broken} broken`,
          );
        }
        runs.push({ server: title, lots, round, p50Ms, p99Ms });
        takenByOthers.push(costs.others / costs.all);
      }
    }
    return {
      text: `One connection, medians of ${rounds} rounds of ${seconds} s · ratio to the small ` +
        `plant (least–greatest)\n\n${growthTable(runs)}`,
      figures: { rounds, seconds, runs },
      takenByOthers,
    };
  },
};

/** Fills a plant and starts both servers on it. */
async function startField(
  stack: AsyncDisposableStack,
  lots: number,
  { folder, say }: StudyOptions,
): Promise<Entrant[]> {
  const own = join(folder, String(lots));
  await Deno.mkdir(own, { mode: 0o755 });
  const server = stack.use(await startPostgres({ major: 17, dataDir: join(own, "postgres") }));
  await migrate(server.url, () => {});
  say(`Filling a plant with ${inDigits(lots, 0)} lots`);
  const sql = connect({ url: server.url, max: 1, statementTimeoutMs: 0, name: "lotline-bench" });
  const plant = await fillBigPlant(sql, lots, CAMPAIGN);
  await sql`checkpoint`;
  await sql.end({ timeout: 1 });
  const requestFile = join(own, "trace.requests");
  await Deno.writeTextFile(requestFile, requestsFor(plant));
  const servers = [
    {
      title: "Lotline",
      start: (place: { databaseUrl: string; folder: string }) =>
        startLotline(place, { AUTH_MODE: "legacy" }),
    },
    { title: "old server's stand-in (Node)", start: startLegacyOnNode },
  ];
  const field: Entrant[] = [];
  for (const { title, start } of servers) {
    const place = { databaseUrl: server.url, folder: join(own, `server-${field.length}`) };
    await Deno.mkdir(place.folder);
    const running = await start(place);
    if (running === undefined) continue;
    stack.use(running);
    field.push({ title, lots, running, databasePid: server.pid, requestFile });
  }
  return field;
}

function requestsFor({ firstLots }: BigPlant): string {
  const random = new Random(20260301);
  return requestLines(Array.from({ length: VARIETY }, () => {
    const first = firstLots[Math.floor(random.between(0, firstLots.length))] ?? "";
    const place = Math.floor(random.between(0, CAMPAIGN));
    return { method: "GET", path: `/api/traceability/${first.replace(/0$/, String(place))}` };
  }));
}

/** One line for each server and plant. */
export function growthTable(runs: readonly GrowthRun[]): string {
  const servers = [...new Set(runs.map(({ server }) => server))];
  const [small = 0] = PLANTS;
  const rows = servers.flatMap((server) =>
    PLANTS.map((lots) => {
      const of = (lots: number) => runs.filter((run) => run.server === server && run.lots === lots);
      const own = of(lots);
      const ratio = spreadOf(own.map((run) => {
        const other = of(small).find(({ round }) => round === run.round);
        return run.p50Ms / (other?.p50Ms ?? NaN);
      }));
      const p50 = inDigits(median(own.map(({ p50Ms }) => p50Ms)), 2);
      return [
        `${server}, ${inDigits(lots, 0)} lots`,
        lots === small || ratio === undefined ? p50 : `${p50} · ${ratioText(ratio)}`,
        inDigits(median(own.map(({ p99Ms }) => p99Ms)), 1),
      ];
    })
  );
  return markdownTable(["", "p50 ms", "p99 ms"], rows);
}
