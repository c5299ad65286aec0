import type { z } from "zod";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../log.ts";
import type { ArgsOf, HeavyTasks, ResultOf } from "./heavy_tasks.ts";

/**
 * What a job does once, however often it runs: statements of the transaction that marks the job done.
 * It has a few seconds. After a failure of PostgreSQL it is called again, in another transaction.
 */
export type Effect = (tx: Sql) => Promise<unknown>;

/** What a running job may use. */
export interface JobContext {
  readonly sql: Sql;
  /**
   * Has a heavy task done on a thread of its own, which reports how far it is. Whatever reads or
   * computes as much as a plant has goes there: this thread renews leases and relays.
   *
   * @throws what the task threw; the signal's reason as soon as that is aborted
   */
  onThread<N extends keyof HeavyTasks>(
    task: N,
    args: ArgsOf<HeavyTasks[N]>,
  ): Promise<ResultOf<HeavyTasks[N]>>;
  /** Names this attempt; what is written under it counts only if the attempt finishes the job. */
  readonly attemptId: string;
  /** Aborted when the job is cancelled, has run too long, has lost its lease or must make way. */
  readonly signal: AbortSignal;
  /** Says how far the job is; kept with the next renewal of the lease, so call it as often as you like. */
  progress(so_far: Readonly<Record<string, number | string>>): void;
  readonly log: Log;
  /**
   * Marks the job done and lets its effect happen, both in one transaction: the last thing that a job
   * does. One that has no effect just returns.
   *
   * ```ts
   * await complete((tx) => finishTrace(tx, traceId, result));
   * ```
   *
   * @throws {JobStoppedError} the job was stopped, or is another attempt's by now; what PostgreSQL says
   * of the effect. Nothing has happened then.
   */
  complete(effect: Effect): Promise<void>;
}

/** One kind of background job, as a value. */
export interface JobDefinition<S extends z.ZodType = z.ZodType> {
  /** Stored with each job: a new name strands the queued work of the old one. */
  readonly kind: string;
  /** Ids rather than values, since a job may run long after it was asked for. */
  readonly args: S;
  /**
   * How often it is tried at most before it is dead. A start that ends since the database couldn't
   * just then, or in a shutdown, is not counted here; see MAX_STARTS.
   */
  readonly maxAttempts: number;
  readonly timeoutMs: number;
  /** How many of them one worker runs at once. */
  readonly concurrency: number;
  /** Until when a job that nobody waits for is put off, if it is to be; in ms since 1970. */
  readonly quietUntil?: (now: number) => number | undefined;
  /**
   * Does the work; safe to run twice, also at the same time. What must happen once is the effect that
   * it completes the job with.
   */
  run(args: z.output<S>, context: JobContext): Promise<void>;
}

/** A kind of job; the arguments of `attemptId` have the type that the schema gives. */
export function defineJob<S extends z.ZodType>(definition: JobDefinition<S>): JobDefinition<S> {
  return definition;
}
