/**
 * What other requests feel while the trace of a lot with very many links is made, and how long that
 * takes, beside the old server's stand-in.
 *
 * @module
 */

import { join } from "node:path";
import { connect } from "../db/connect.ts";
import { type Costs, withCosts } from "./costs.ts";
import { startPlant } from "./plant.ts";
import { type Running, startLegacy, startLotline } from "./servers.ts";
import type { Study, StudyOptions } from "./study.ts";
import { inDigits, markdownTable, median, type Ratio, ratioText, spreadOf } from "./table.ts";
import { requestLines, workloadNamed } from "./workloads.ts";
import { type Load, runWrk } from "./wrk.ts";

const LINKS = 200_000;
const LOT = "BENCH-LARGE";
/** The other requests: 16 users a route who each send one about ten times a second. */
const ROUTES = ["health", "trace"] as const;
const USERS = 16;
const USERS_PAUSE_MS = 100;
const SECONDS = 15;

/** One stretch of time with one server, with the large trace sent for over and over or not. */
export interface LargeStretch {
  readonly round: number;
  readonly server: string;
  readonly isQuiet: boolean;
  readonly routes: Readonly<Record<typeof ROUTES[number], Load>>;
  /** How long each large trace took, to its last byte, in ms. */
  readonly tracesMs: readonly number[];
  /** The most memory that the server has had so far. */
  readonly peakMb: number;
  readonly costs: Costs;
}

export const LARGE_TRACE: Study = {
  name: "large-trace",
  async run(options) {
    const { rounds, seconds = SECONDS, folder, say } = options;
    await using stack = new AsyncDisposableStack();
    say(
      `Starting PostgreSQL 17 and filling the demo plant and a lot with ${
        inDigits(LINKS, 0)
      } links`,
    );
    const plant = stack.use(await startPlant(folder));
    const databaseUrl = await plant.copy("large");
    await insertLargeLot(databaseUrl);
    const servers: { name: string; running: Running }[] = [];
    for (const [name, start] of STARTS) {
      say(`Starting: ${name}`);
      const place = { databaseUrl, folder: join(folder, name) };
      await Deno.mkdir(place.folder);
      servers.push({ name, running: stack.use(await start(place)) });
    }
    const files = new Map<string, string>();
    for (const route of ROUTES) {
      files.set(route, join(folder, `${route}.requests`));
      const lines = requestLines(workloadNamed(route).requests(plant.plant));
      await Deno.writeTextFile(files.get(route) ?? "", lines);
    }
    const stretches: LargeStretch[] = [];
    for (let round = 0; round <= rounds; round++) {
      for (const { name, running } of servers) {
        for (const isQuiet of [true, false]) {
          say(
            `Round ${round} of ${rounds}: ${name}, ${isQuiet ? "quiet" : "beside the large trace"}`,
          );
          const measured = { serverPids: [running.pid], databasePid: plant.pid };
          const { result, costs } = await withCosts(
            measured,
            () =>
              stretch(running, isQuiet, { ...options, seconds: round === 0 ? 2 : seconds }, files),
          );
          // The first round only warms up.
          if (round > 0) stretches.push({ round, server: name, isQuiet, ...result, costs });
        }
      }
    }
    return {
      text: `${inDigits(LINKS, 0)} links; medians of ${rounds} rounds of ${seconds} s · ratio ` +
        `(least–greatest)\n\n${largeTable(stretches)}`,
      figures: { rounds, seconds, links: LINKS, stretches },
      takenByOthers: stretches.map(({ costs }) => costs.others / costs.all),
    };
  },
};

const STARTS = [
  ["old", startLegacy],
  [
    "lotline",
    (place: Parameters<typeof startLotline>[0]) => startLotline(place, { AUTH_MODE: "legacy" }),
  ],
] as const;

async function stretch(
  { pid, url }: Running,
  isQuiet: boolean,
  { wrk, seconds = SECONDS }: StudyOptions,
  files: ReadonlyMap<string, string>,
): Promise<Pick<LargeStretch, "routes" | "tracesMs" | "peakMb">> {
  const load = (route: typeof ROUTES[number]) =>
    runWrk({
      wrk,
      url,
      requestFile: files.get(route) ?? "",
      label: crypto.randomUUID(),
      seconds,
      connections: USERS,
      pauseMs: USERS_PAUSE_MS,
    });
  let isOver = false;
  const tracesMs: number[] = [];
  const traceOverAndOver = async () => {
    while (!isOver) tracesMs.push(await largeTrace(url));
  };
  // The last trace is seen to its end, though the others have stopped.
  const traces = isQuiet ? undefined : traceOverAndOver();
  const [health, trace] = await Promise.all([load("health"), load("trace")])
    .finally(() => isOver = true);
  await traces;
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(status) ?? [];
  return { routes: { health, trace }, tracesMs, peakMb: Number(kibibytes) * 1024 / 1e6 };
}

/** Sends for the large trace and reads it; gives how long that took, in ms. */
async function largeTrace(url: string): Promise<number> {
  const began = performance.now();
  const answer = await fetch(`${url}/api/traceability/${LOT}`);
  let bytes = 0;
  for await (const chunk of answer.body ?? []) bytes += chunk.length;
  if (answer.status !== 200 || bytes < LINKS * 100) {
    throw new Error(`WRONG ANSWERS: the large trace was answered ${answer.status}, ${bytes} bytes`);
  }
  return performance.now() - began;
}

async function insertLargeLot(databaseUrl: string): Promise<void> {
  const sql = connect({ url: databaseUrl, max: 1, statementTimeoutMs: 0, name: "lotline-bench" });
  try {
    await sql`insert into lots (lot_code, lot_type, weight_kg) values (${LOT}, 'MIX', 540.0)`;
    await sql`
      insert into lots (lot_code, lot_type, weight_kg, metadata)
      select ${LOT} || '-' || n, 'FG', n::numeric / 100, '{"supplier": "Duna Hús Kft.", "batch": 4411}'
      from generate_series(1, ${LINKS}::int) n`;
    await sql`
      insert into lot_genealogy (parent_lot_id, child_lot_id, quantity_used_kg)
      select parent.id, child.id, 1.5 from lots parent, lots child
      where parent.lot_code = ${LOT} and child.lot_code like ${`${LOT}-%`}`;
    await sql`vacuum analyze`;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** One row a server and route, and one for the large trace itself. */
export function largeTable(stretches: readonly LargeStretch[]): string {
  const of = (server: string, isQuiet: boolean) =>
    stretches.filter((one) => one.server === server && one.isQuiet === isQuiet);
  const rows = STARTS.flatMap(([server]) => {
    const [quiet, beside] = [of(server, true), of(server, false)];
    return ROUTES.map((route) => {
      const p99 = (some: readonly LargeStretch[]) => some.map(({ routes }) => routes[route].p99Ms);
      return row(`${server}: p99 of ${route}, ms`, p99(quiet), p99(beside));
    });
  });
  const traceMs = (server: string) => of(server, false).map(({ tracesMs }) => median(tracesMs));
  const peak = (server: string) =>
    inDigits(
      Math.max(...stretches.filter((one) => one.server === server).map((one) => one.peakMb)),
      0,
    );
  return `${markdownTable(["", "quiet", "beside the large trace"], rows)}\n${
    markdownTable(["", "old", "lotline"], [
      row("the large trace, ms", traceMs("old"), traceMs("lotline")),
      ["process MB at most", peak("old"), peak("lotline")],
    ])
  }`;
}

function row(title: string, before: readonly number[], after: readonly number[]): string[] {
  const ratio: Ratio | undefined = spreadOf(
    after.map((value, round) => value / (before[round] ?? NaN)),
  );
  const text = inDigits(median(after), 1);
  return [title, inDigits(median(before), 1), ratio ? `${text} · ${ratioText(ratio)}` : text];
}
