import type { Direction } from "../db/lot_genealogy.ts";
import type { TraceLots } from "../db/trace_chunks.ts";
import type { OpenTrace } from "../db/traces.ts";
import type { Snapshot } from "./snapshot.ts";
import { type OnLevel, type Walk, walk } from "./walk.ts";

/** The lots of a trace, by depth and then by id. */
interface TraceNodes extends TraceLots {
  readonly truncated: boolean;
}

const DIRECTION_BIT: Record<Direction, number> = { upstream: 1, downstream: 2 };

/** Finds the lots of a trace; of both directions together, the first `atMost` by depth and id. */
export async function findTraceNodes(
  snapshot: Pick<Snapshot, "sql">,
  { lotId, direction, maxDepth, atMost }: OpenTrace,
  onLevel: OnLevel,
): Promise<TraceNodes> {
  const walkOne = (direction: Direction, onLevel: OnLevel) =>
    walk(snapshot, { from: lotId, direction, maxDepth, atMost }, onLevel);
  if (direction !== "both") {
    const found = await walkOne(direction, onLevel);
    return { ...found, directions: found.ids.map(() => DIRECTION_BIT[direction]) };
  }
  const upstream = await walkOne("upstream", onLevel);
  const downstream = await walkOne(
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
