import type { Way } from "../db/lot_genealogy.ts";
import type { TraceLots } from "../db/trace_chunks.ts";
import type { OpenTrace } from "../db/traces.ts";
import type { Snapshot } from "./snapshot.ts";
import { type OnLevel, type Walk, walk } from "./walk.ts";

/** The lots of a trace, by depth and then by id. */
export interface Members extends TraceLots {
  /** Whether a limit cut something. */
  readonly truncated: boolean;
}

const SIDE: Record<Way, number> = { upstream: 1, downstream: 2 };

/** Walks the ways of a trace. The lots of both together are its first ones by depth and id. */
export async function findMembers(
  snapshot: Pick<Snapshot, "sql">,
  { lotId, direction, maxDepth, atMost }: OpenTrace,
  onLevel: OnLevel,
): Promise<Members> {
  const go = (way: Way, onLevel: OnLevel) =>
    walk(snapshot, { from: lotId, way, maxDepth, atMost }, onLevel);
  if (direction !== "both") {
    const found = await go(direction, onLevel);
    return { ...found, sides: found.ids.map(() => SIDE[direction]) };
  }
  const upstream = await go("upstream", onLevel);
  const downstream = await go(
    "downstream",
    (lots, depth) => onLevel(upstream.ids.length + lots - 1, depth),
  );
  return union(upstream, downstream, atMost);
}

function union(upstream: Walk, downstream: Walk, atMost: number): Members {
  const members = new Map<string, { depth: number; side: number }>();
  for (
    const [way, { ids, depths }] of [["upstream", upstream], ["downstream", downstream]] as const
  ) {
    for (const [place, id] of ids.entries()) {
      const depth = depths[place] ?? 0;
      const known = members.get(id);
      if (known === undefined) members.set(id, { depth, side: SIDE[way] });
      else {
        known.depth = Math.min(known.depth, depth);
        known.side |= SIDE[way];
      }
    }
  }
  const all = [...members].sort(([a, { depth: depthOfA }], [b, { depth: depthOfB }]) =>
    depthOfA - depthOfB || (a < b ? -1 : 1)
  );
  const kept = all.slice(0, atMost);
  return {
    ids: kept.map(([id]) => id),
    depths: kept.map(([, { depth }]) => depth),
    sides: kept.map(([, { side }]) => side),
    truncated: upstream.truncated || downstream.truncated || kept.length < all.length,
  };
}
