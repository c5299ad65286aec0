import { setImmediate } from "node:timers";

/** What was asked, and the place of the asker's key in it. */
export interface Batched<Result> {
  readonly result: Result;
  readonly index: number;
}

/** What is gathered. */
export interface BatcherBounds {
  /** So many quick questions are under way at most. */
  readonly maxConcurrent: number;
  /** So many keys are in one question at most. */
  readonly maxBatchSize: number;
  /**
   * A question that takes longer, in ms, or at most twice as long, isn't waited for: slow ones must not
   * hold up the others.
   */
  readonly slowMs: number;
}

/**
 * Asks for keys together: for those that come in one turn of the event loop and, while enough
 * questions are under way, for those that come until one of them is over. A question to another
 * process costs about the same for one key and for ten, so a busy process asks seldom for much, and
 * an idle one keeps nobody waiting. Nothing is answered with what was read before it was asked for.
 *
 * @param run gets keys, some may be the same; what it throws, all who asked get
 */
export function createBatcher<Key, Result>(
  run: (keys: readonly Key[]) => Promise<Result>,
  { maxConcurrent, maxBatchSize, slowMs }: BatcherBounds,
): (key: Key) => Promise<Batched<Result>> {
  interface Waiter {
    readonly key: Key;
    resolve(batched: Batched<Result>): void;
    reject(error: unknown): void;
  }
  const waiting: Waiter[] = [];
  /** The quick ones of the questions under way, by when they were asked. */
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
  return (key) =>
    new Promise((resolve, reject) => {
      waiting.push({ key, resolve, reject });
      begin();
    });
}
