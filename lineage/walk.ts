import { listNextLots, type Way } from "../db/lot_genealogy.ts";
import type { Snapshot } from "./snapshot.ts";

/** Where a walk starts and how far it goes. */
export interface WalkOptions {
  readonly from: string;
  readonly way: Way;
  /** Null: as deep as it goes. */
  readonly maxDepth: number | null;
  readonly atMost: number;
}

/** The lots of a walk. */
export interface Walk {
  /** By depth, then by id; each once, with its smallest depth. */
  readonly ids: readonly string[];
  readonly depths: readonly number[];
  /** Whether there were more, deeper or beyond the limit. */
  readonly truncated: boolean;
}

/** Is told of each level; may throw to end the walk. */
export type OnLevel = (lots: number, depth: number) => void;

/** So many ids are put into one statement. */
const BATCH = 100_000;

/**
 * Follows links level by level, so that depths are the smallest ones and a cycle is walked once.
 * Where a level has more lots than there is room for, those with the smallest ids are kept, and only
 * they are followed.
 */
export async function walk(
  { sql }: Pick<Snapshot, "sql">,
  { from, way, maxDepth, atMost }: WalkOptions,
  onLevel: OnLevel,
): Promise<Walk> {
  const seen = new Set([from]);
  const ids = [from];
  const depths = [0];
  let level = [from];
  let truncated = false;
  for (let depth = 1; level.length > 0 && !truncated; depth++) {
    onLevel(ids.length, depth - 1);
    const found: string[][] = [];
    for (let start = 0; start < level.length; start += BATCH) {
      const batch = level.slice(start, start + BATCH);
      // Some may be among those that were seen: of so many at least one is not, if there is one.
      found.push(await listNextLots(sql, way, batch, atMost + 1));
    }
    const isNew = (id: string) => !seen.has(id);
    const next = merged(found).filter(isNew);
    const room = depth > (maxDepth ?? Infinity) ? 0 : atMost - ids.length;
    truncated = next.length > room;
    level = next.slice(0, room);
    for (const id of level) {
      seen.add(id);
      ids.push(id);
      depths.push(depth);
    }
  }
  return { ids, depths, truncated };
}

function merged(lists: readonly string[][]): string[] {
  const [first = [], ...others] = lists;
  return others.length === 0 ? first : [...new Set(lists.flat())].sort();
}
