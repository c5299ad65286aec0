import { setImmediate } from "node:timers";

/** The result of a batch, and the position of the caller's key in that batch. */
export interface Batched<Result> {
  readonly result: Result;
  readonly index: number;
}

export interface BatcherBounds {
  /** At most this many fast batches run at once. */
  readonly maxConcurrent: number;
  readonly maxBatchSize: number;
  /**
   * A batch that runs longer than this, in ms, no longer counts against `maxConcurrent`: slow
   * batches must not block the others. It may count up to twice as long.
   */
  readonly slowMs: number;
}

/**
 * Runs keys in batches: those that come in one turn of the event loop and, while `maxConcurrent`
 * batches run, those that come until one of them ends. A round trip to another process costs about
 * the same for one key and for ten. So a busy process makes few large round trips, and an idle
 * process waits for none. A key never gets a result that was read before the key came.
 *
 * @param run receives the keys, which may repeat; every caller of its batch receives what it throws
 */
export function createBatcher<Key, Result>(
  run: (keys: readonly Key[]) => Promise<Result>,
  { maxConcurrent, maxBatchSize, slowMs }: BatcherBounds,
): (key: Key) => Promise<Batched<Result>> {
  type Waiter = PromiseWithResolvers<Batched<Result>> & { readonly key: Key };
  const waiting: Waiter[] = [];
  /** The running batches that still count, in the order in which they started. */
  const fast: { readonly startedAt: number }[] = [];
  let isScheduled = false;
  let isWatching = false;

  const begin = () => {
    if (isScheduled || waiting.length === 0) return;
    if (fast.length === maxConcurrent) {
      watch();
      return;
    }
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      void runBatch(waiting.splice(0, maxBatchSize));
      begin();
    });
  };
  const watch = () => {
    if (isWatching) return;
    isWatching = true;
    setTimeout(() => {
      isWatching = false;
      const slowest = performance.now() - slowMs;
      while (fast[0] !== undefined && fast[0].startedAt <= slowest) fast.shift();
      begin();
    }, slowMs);
  };
  const runBatch = async (waiters: readonly Waiter[]) => {
    const batch = { startedAt: performance.now() };
    fast.push(batch);
    try {
      const result = await run(waiters.map(({ key }) => key));
      waiters.forEach(({ resolve }, index) => resolve({ result, index }));
    } catch (error) {
      for (const { reject } of waiters) reject(error);
    }
    const index = fast.indexOf(batch);
    if (index !== -1) fast.splice(index, 1);
    begin();
  };
  return (key) => {
    const waiter = { key, ...Promise.withResolvers<Batched<Result>>() };
    waiting.push(waiter);
    begin();
    return waiter.promise;
  };
}
