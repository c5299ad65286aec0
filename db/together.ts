import { gather } from "../gather.ts";
import type { Sql } from "./connect.ts";
import { DEADLINE_MS } from "./in_time.ts";

/** So many requests share a statement at most. */
const MOST_TOGETHER = 16;
/** A statement that takes longer than this keeps others from being sent no more, in ms. */
const QUICK_MS = 50;

/** How something is asked of PostgreSQL, for one request and for several. */
export interface Ways<Key, Answer> {
  /** For several at once; gives what finds each one's answer, by its key and place. */
  askAll(
    keys: readonly Key[],
    deadlineMs: number,
  ): Promise<(key: Key, place: number) => Answer>;
  askOne(key: Key, deadlineMs: number): Promise<Answer>;
  /** Whether each is to be asked for by itself after this error of all. */
  isWorthTrying(error: unknown): boolean;
}

/**
 * Asks PostgreSQL for several requests in one statement: for those that come in one turn of the event
 * loop and, while enough quick statements are under way, for those that come meanwhile. None waits
 * longer than it would alone, see {@link DEADLINE_MS}; one whose time is up is never asked for.
 *
 * @param share the share of the pool's connections that are busy with it before others wait
 */
export function together<Key, Answer>(
  sql: Sql,
  share: number,
  { askAll, askOne, isWorthTrying }: Ways<Key, Answer>,
): (key: Key) => Promise<Answer> {
  interface Asked {
    readonly key: Key;
    /** By the process's clock, in ms. */
    readonly until: number;
  }
  const leftOf = ({ until }: Asked) => until - performance.now();

  const ask = gather(async (all: readonly Asked[]) => {
    // The first has waited the longest.
    const [first] = all;
    const leftMs = first === undefined ? 0 : leftOf(first);
    if (first !== undefined && all.length === 1) {
      const answer = await askOne(first.key, leftMs);
      return () => answer;
    }
    if (leftMs <= 0) return undefined;
    try {
      return await askAll(all.map(({ key }) => key), leftMs);
    } catch (error) {
      if (!isWorthTrying(error)) throw error;
      return undefined;
    }
  }, {
    atOnce: Math.ceil(sql.options.max * share),
    most: MOST_TOGETHER,
    quickMs: QUICK_MS,
  });

  return async (key) => {
    const asked = { key, until: performance.now() + DEADLINE_MS };
    const { answer: find, place } = await ask(asked);
    return find === undefined ? await askOne(key, leftOf(asked)) : find(key, place);
  };
}
