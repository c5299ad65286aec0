import type { z } from "zod";
import type { Sql, Statement } from "../db/connect.ts";
import type { Log } from "../log.ts";
import type { ArgsOf, HeavyTasks, ResultOf } from "./heavy_tasks.ts";

/**
 * The effect of a job: a data-modifying statement that does nothing unless `finished` has a row.
 * `finished` is the job itself, being marked done in the same statement; it has no row when another
 * attempt has taken the job over meanwhile. So an effect happens once, however often a job runs.
 * A function that makes it, since a promise that gives a query runs the query. It has no CTEs that
 * modify data, being one itself.
 *
 * ```ts
 * return () =>
 *   sql`update lotline.traces set run = ${run} from finished where traces.id = ${traceId}`;
 * ```
 */
export type Effect = () => Statement;

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
  readonly run: string;
  /** Aborted when the job is cancelled, has run too long, has lost its lease or must make way. */
  readonly signal: AbortSignal;
  /** Says how far the job is; kept with the next renewal of the lease, so call it as often as you like. */
  progress(so_far: Readonly<Record<string, number | string>>): void;
  readonly log: Log;
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
   * it gives back.
   */
  run(args: z.output<S>, context: JobContext): Promise<Effect | void>;
}

/** A kind of job; the arguments of `run` have the type that the schema gives. */
export function defineJob<S extends z.ZodType>(definition: JobDefinition<S>): JobDefinition<S> {
  return definition;
}
