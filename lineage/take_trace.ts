import { listCodes } from "../db/lots.ts";
import { insertLinkChunks, insertLotChunks } from "../db/trace_chunks.ts";
import type { OpenTrace, TraceResult } from "../db/traces.ts";
import { findCycles, type OnSteps } from "./cycles.ts";
import { findTraceNodes } from "./trace_nodes.ts";
import type { Snapshot, SnapshotOptions } from "./snapshot.ts";
import type { OnLevel } from "./walk.ts";

// What is told of cycles stands on every page of the result.
const MAX_CYCLES = 100;
const MAX_LOTS_ON_CYCLES = 10_000;

/**
 * A walk is many small statements and a few large ones: none is planned anew for each list of ids,
 * and their sorts get more memory than those of requests.
 */
export const TRACE_SETTINGS: SnapshotOptions["settings"] = {
  plan_cache_mode: "force_generic_plan",
  work_mem: "64MB",
  idle_in_transaction_session_timeout: "10s",
};

/** How a trace is taken. */
export interface TakeOptions {
  /** The name under which its lots and links are stored. */
  readonly attemptId: string;
  readonly onLevel: OnLevel;
  /** Hears of the search for cycles, and may end it. */
  readonly onCycleSteps?: OnSteps | undefined;
  /** Does some work at the snapshot's moment; on another session, so that two are at work at once. */
  onSecondSession<T>(snapshot: Snapshot, work: (same: Snapshot) => Promise<T>): Promise<T>;
}

/**
 * Takes a trace: walks to its lots and stores them and their links under the name of a run. Nobody
 * sees them before the result is made the trace's.
 */
export async function takeTrace(
  snapshot: Snapshot,
  trace: OpenTrace,
  { attemptId, onLevel, onCycleSteps, onSecondSession }: TakeOptions,
): Promise<TraceResult> {
  const { sql, asOf, id } = snapshot;
  const nodes = await findTraceNodes(snapshot, trace, onLevel);
  // A walk that a limit has cut ends before it tells of its last level.
  onLevel(nodes.ids.length, nodes.depths.at(-1) ?? 0);
  // In this order: another session needs a word with this one before it is busy.
  const [{ links, halfLinks, ...ends }, { lots, depthReached, totals }] = await Promise.all([
    onSecondSession(snapshot, (same) => insertLinkChunks(same.sql, attemptId, nodes)),
    insertLotChunks(sql, attemptId, nodes),
  ]);
  const { cycles, truncated } = shortened(
    findCycles({ ...ends, lots: nodes.ids.length, maxCycles: MAX_CYCLES, onSteps: onCycleSteps }),
  );
  const summary = {
    lot_count: lots,
    link_count: links,
    depth_reached: depthReached,
    truncated: nodes.truncated,
    half_links: halfLinks,
    totals,
    cycles: await withCodes(snapshot, cycles, nodes.ids),
    cycles_truncated: truncated,
  };
  return { attemptId, asOf, snapshot: id, summary };
}

/** Without the cycles that are too many lots with those before them. */
function shortened<T extends { cycles: number[][]; truncated: boolean }>(found: T): T {
  const stored: number[][] = [];
  let lots = 0;
  for (const cycle of found.cycles) {
    if (lots + cycle.length > MAX_LOTS_ON_CYCLES) continue;
    lots += cycle.length;
    stored.push(cycle);
  }
  return {
    ...found,
    cycles: stored,
    truncated: found.truncated || stored.length < found.cycles.length,
  };
}

async function withCodes(
  { sql }: Snapshot,
  cycles: readonly (readonly number[])[],
  ids: readonly string[],
): Promise<string[][]> {
  if (cycles.length === 0) return [];
  const idOf = (index: number) => ids[index] ?? "";
  const codes = await listCodes(sql, cycles.flat().map(idOf));
  return cycles.map((cycle) => cycle.map((index) => codes[idOf(index)] ?? ""));
}
