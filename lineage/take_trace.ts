import type { Direction } from "../db/lot_genealogy.ts";
import { listCodes } from "../db/lots.ts";
import {
  type ChunkSink,
  insertLinkChunks,
  insertLotChunks,
  readLinkChunks,
  readLotChunks,
  type TraceLots,
} from "../db/trace_chunks.ts";
import type { OpenTrace, TraceResult } from "../db/traces.ts";
import { findCycles, type OnSteps } from "./cycles.ts";
import type { Snapshot, SnapshotOptions } from "./snapshot.ts";
import { type OnLevel, type Walk, walk } from "./walk.ts";

// Every page of the result shows the cycles.
const MAX_CYCLES = 100;
const MAX_LOTS_ON_CYCLES = 10_000;

/** Generic plans, since a walk is many small statements, and more memory for large sorts. */
export const TRACE_SETTINGS: SnapshotOptions["settings"] = {
  plan_cache_mode: "force_generic_plan",
  work_mem: "64MB",
  idle_in_transaction_session_timeout: "10s",
};

export interface TakeOptions {
  /** The id under which its lots and links are stored. */
  readonly attemptId: string;
  readonly onLevel: OnLevel;
  readonly onCycleSteps?: OnSteps | undefined;
  /** Does some work at the snapshot's moment, concurrently if it has another session. */
  onSecondSession<T>(snapshot: Snapshot, work: (same: Snapshot) => Promise<T>): Promise<T>;
  /** Stores the lots and links of a snapshot on a replica, which can't; by default its server does. */
  readonly sink?: ChunkSink | undefined;
}

/**
 * Takes a trace: finds its lots and stores them and their links under the attempt's id. They are
 * invisible until `finishTrace`.
 */
export async function takeTrace(
  snapshot: Snapshot,
  trace: OpenTrace,
  { attemptId, onLevel, onCycleSteps, onSecondSession, sink }: TakeOptions,
): Promise<TraceResult> {
  const { sql, asOf, id } = snapshot;
  const nodes = await findTraceNodes(snapshot, trace, onLevel);
  // A truncated walk ends before it reports its last level.
  onLevel(nodes.ids.length, nodes.depths.at(-1) ?? 0);
  const [{ links, halfLinks, ...ends }, { lots, depthReached, totals }] = sink === undefined
    // In this order: the second session needs a statement on this one before it is busy.
    ? await Promise.all([
      onSecondSession(snapshot, (same) => insertLinkChunks(same.sql, attemptId, nodes)),
      insertLotChunks(sql, attemptId, nodes),
    ])
    // One after the other: a failure leaves no statement for after the transaction. On one session,
    // since a second one may lead to another replica.
    : [await readLinkChunks(sql, nodes, sink), await readLotChunks(sql, nodes, sink)];
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

/** Without the cycles that exceed {@link MAX_LOTS_ON_CYCLES} with those before them. */
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

type TraceNodes = TraceLots & Walk;

const DIRECTION_BIT: Record<Direction, number> = { upstream: 1, downstream: 2 };

/** Finds the lots of a trace; of both directions together, the first `atMost` by depth and id. */
async function findTraceNodes(
  snapshot: Pick<Snapshot, "sql">,
  trace: OpenTrace,
  onLevel: OnLevel,
): Promise<TraceNodes> {
  const { direction, atMost } = trace;
  if (direction !== "both") {
    const found = await walk(snapshot, trace, direction, onLevel);
    return { ...found, directions: found.ids.map(() => DIRECTION_BIT[direction]) };
  }
  const upstream = await walk(snapshot, trace, "upstream", onLevel);
  const downstream = await walk(
    snapshot,
    trace,
    "downstream",
    (lots, depth) => onLevel(upstream.ids.length + lots - 1, depth),
  );
  return union(upstream, downstream, atMost);
}

function union(upstream: Walk, downstream: Walk, atMost: number): TraceNodes {
  const nodes = new Map<string, { depth: number; directionBits: number }>();
  const add = ({ ids, depths }: Walk, bit: number) => {
    for (const [index, id] of ids.entries()) {
      const depth = depths[index] ?? 0;
      const known = nodes.get(id);
      if (known === undefined) nodes.set(id, { depth, directionBits: bit });
      else {
        known.depth = Math.min(known.depth, depth);
        known.directionBits |= bit;
      }
    }
  };
  add(upstream, DIRECTION_BIT.upstream);
  add(downstream, DIRECTION_BIT.downstream);
  const all = [...nodes].sort(([a, { depth: depthOfA }], [b, { depth: depthOfB }]) =>
    depthOfA - depthOfB || (a < b ? -1 : 1)
  );
  const within = all.slice(0, atMost);
  return {
    ids: within.map(([id]) => id),
    depths: within.map(([, { depth }]) => depth),
    directions: within.map(([, { directionBits }]) => directionBits),
    truncated: upstream.truncated || downstream.truncated || within.length < all.length,
  };
}
