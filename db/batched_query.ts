import { createBatcher } from "../batcher.ts";
import type { Sql } from "./sql.ts";
import { isStatementTimeout, wasRolledBack } from "./pg_errors.ts";
import { DEADLINE_MS } from "./query_deadline.ts";

/** The most requests that share a statement. */
const MAX_BATCH_SIZE = 16;
/** A statement that takes longer than this no longer counts as running, in ms. */
const SLOW_MS = 50;

interface BatchedQuery<Key, Result> {
  /** Runs for several keys; returns a function from a key and its index to its result. */
  runBatch(
    keys: readonly Key[],
    deadlineMs: number,
  ): Promise<(key: Key, index: number) => Result>;
  runOne(key: Key, deadlineMs: number): Promise<Result>;
  /** Whether each key gets a statement of its own after this error of the batch. */
  shouldRunAlone(error: unknown): boolean;
}

/**
 * Runs one statement for several requests: for those of one turn of the event loop and, while enough
 * quick statements run, for those that come meanwhile. None waits longer than it would alone, see
 * {@link DEADLINE_MS}; one whose time is up is never sent.
 *
 * @param share the share of the pool's connections that it uses before requests wait
 */
export function batchedQuery<Key, Result>(
  sql: Sql,
  share: number,
  { runBatch, runOne, shouldRunAlone }: BatchedQuery<Key, Result>,
): (key: Key) => Promise<Result> {
  interface Queued {
    readonly key: Key;
    /** By the process's clock, in ms. */
    readonly until: number;
  }
  const leftOf = ({ until }: Queued) => until - performance.now();

  const run = createBatcher(async (all: readonly Queued[]) => {
    // The first has waited the longest.
    const [first] = all;
    const leftMs = first === undefined ? 0 : leftOf(first);
    if (first !== undefined && all.length === 1) {
      const result = await runOne(first.key, leftMs);
      return () => result;
    }
    if (leftMs <= 0) return undefined;
    try {
      return await runBatch(all.map(({ key }) => key), leftMs);
    } catch (error) {
      if (!shouldRunAlone(error)) throw error;
      return undefined;
    }
  }, {
    maxConcurrent: Math.ceil(sql.options.max * share),
    maxBatchSize: MAX_BATCH_SIZE,
    slowMs: SLOW_MS,
  });

  return async (key) => {
    const queued = { key, until: performance.now() + DEADLINE_MS };
    const { result: find, index } = await run(queued);
    return find === undefined ? await runOne(key, leftOf(queued)) : find(key, index);
  };
}

/** The share of the pool that {@link findBatched} uses. */
const SHARE_OF_POOL = 1 / 2;

/**
 * Finds the row of one key. Concurrent requests share a statement, which costs little more for ten
 * keys than for one.
 *
 * @param findAll reads all keys at one moment; an unknown key has no entry
 */
export function findBatched<Found>(
  sql: Sql,
  findAll: (
    sql: Sql,
    keys: readonly string[],
    deadlineMs: number,
  ) => Promise<ReadonlyMap<string, Found>>,
): (key: string) => Promise<Found | undefined> {
  return batchedQuery(sql, SHARE_OF_POOL, {
    async runBatch(keys, deadlineMs) {
      const found = await findAll(sql, keys, deadlineMs);
      return (key) => found.get(key);
    },
    runOne: async (key, deadlineMs) => (await findAll(sql, [key], deadlineMs)).get(key),
    // A key that takes very long, or that PostgreSQL can't read, must not fail the others.
    shouldRunAlone: (error) => wasRolledBack(error) || isStatementTimeout(error),
  });
}
