import { type Direction, listNextLevels, listNextLots } from "../db/lot_genealogy.ts";
import type { OpenTrace } from "../db/traces.ts";
import type { Snapshot } from "./snapshot.ts";

export interface Walk {
  /** By depth, then by id; each once, with its smallest depth. */
  readonly ids: readonly string[];
  readonly depths: readonly number[];
  /** Whether a limit excluded other lots. */
  readonly truncated: boolean;
}

/** Called with each level; may throw to end the walk. */
export type OnLevel = (lots: number, depth: number) => void;

/** The most ids in one statement. */
const BATCH = 100_000;
/** For a level with at most so many lots, several further levels are read at once. */
const NARROW = 8;
const MAX_LEVELS = 256;
/** The most lots of several levels; an incomplete level is read alone. */
const MAX_STEPS = 2_000;

/**
 * Follows links level by level, so that depths are the smallest ones and a cycle is walked once. Of a
 * level with too many lots only those with the smallest ids are returned and followed.
 */
export async function walk(
  { sql }: Pick<Snapshot, "sql">,
  { lotId, maxDepth, atMost }: OpenTrace,
  direction: Direction,
  onLevel: OnLevel,
): Promise<Walk> {
  const seen = new Set([lotId]);
  const ids = [lotId];
  const depths = [0];
  let truncated = false;
  const levels = levelsBelow(sql, direction, atMost);
  let level = [lotId];
  for (let depth = 1; level.length > 0 && !truncated; depth++) {
    onLevel(ids.length, depth - 1);
    const found = await levels.next(level);
    const next = found.filter((id) => !seen.has(id));
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

/** Reads the next level, in the order of ids. It may contain lots that were seen before. */
function levelsBelow(sql: Snapshot["sql"], direction: Direction, atMost: number) {
  let known: string[][] = [];
  let ahead = 1;
  return {
    async next(level: readonly string[]): Promise<string[]> {
      if (known.length === 0) {
        const isNarrow = level.length <= NARROW;
        if (isNarrow && ahead > 1) {
          known = await listNextLevels(sql, direction, level, { levels: ahead, max: MAX_STEPS });
        }
        ahead = isNarrow ? Math.min(2 * ahead, MAX_LEVELS) : 1;
      }
      return known.shift() ?? await listLevel(sql, direction, level, atMost);
    },
  };
}

async function listLevel(
  sql: Snapshot["sql"],
  direction: Direction,
  level: readonly string[],
  atMost: number,
): Promise<string[]> {
  const found: string[][] = [];
  for (let start = 0; start < level.length; start += BATCH) {
    const batch = level.slice(start, start + BATCH);
    // One more than the limit: if there are so many, at least one was not seen before.
    found.push(await listNextLots(sql, direction, batch, atMost + 1));
  }
  const [first = [], ...others] = found;
  return others.length === 0 ? first : [...new Set(found.flat())].sort();
}
