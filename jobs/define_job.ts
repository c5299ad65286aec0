import type { z } from "zod";
import type { ReplicaMark } from "../db/replica_marks.ts";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../log.ts";
import type { ArgsOf, HeavyTasks, ResultOf } from "./heavy_tasks.ts";

/**
 * What a job does exactly once: statements of the transaction that marks the job done, in a few
 * seconds. After a failure of PostgreSQL it is called again, in another transaction.
 */
export type Effect = (tx: Sql) => Promise<unknown>;

/** What a running job may use. */
export interface JobContext {
  readonly sql: Sql;
  /**
   * Runs a heavy task on a thread of its own, which reports its progress; see heavy_tasks.ts. It reads
   * the replica, if there is one that can be read.
   *
   * @param mark what a replica has to show; by default what was committed when the job was claimed
   * @throws the task's error; the signal's reason as soon as it is aborted
   */
  onThread<N extends keyof HeavyTasks>(
    task: N,
    args: ArgsOf<HeavyTasks[N]>,
    mark?: ReplicaMark,
  ): Promise<ResultOf<HeavyTasks[N]>>;
  /** Rows that are stored under this id count only if the attempt finishes the job. */
  readonly attemptId: string;
  /** Aborted when the job is cancelled, has run too long, has lost its lease, or at a shutdown. */
  readonly signal: AbortSignal;
  /** Stored with the next renewal of the lease, so any number of calls is cheap. */
  progress(soFar: Readonly<Record<string, number>>): void;
  readonly log: Log;
  /**
   * Marks the job done and applies its effect in one transaction, as the last step of a job. A job
   * without an effect just returns.
   *
   * @throws {JobStoppedError} the job was stopped, or belongs to another attempt by now; or PostgreSQL's
   * error. Nothing has happened then.
   */
  complete(effect: Effect): Promise<void>;
}

/** One kind of background job, as a value. */
export interface JobDefinition<S extends z.ZodType = z.ZodType> {
  /** Stored with each job: a rename strands the queued work of the old name. */
  readonly kind: string;
  /** Ids rather than values, since a job may run long after it was requested. */
  readonly args: S;
  /** Starts that end in an outage of the database or a shutdown aren't counted; see MAX_STARTS. */
  readonly maxAttempts: number;
  readonly timeoutMs: number;
  /** How many of them one worker runs at once. */
  readonly concurrency: number;
  /** The end of the current quiet hours for a job that nobody waits for, in ms since 1970. */
  readonly quietUntil?: (now: number) => number | undefined;
  /** Does the work. Safe to run twice, also concurrently; only the effect happens once. */
  run(args: z.output<S>, context: JobContext): Promise<void>;
}

/** Types the arguments of `run` by the schema. */
export function defineJob<S extends z.ZodType>(definition: JobDefinition<S>): JobDefinition<S> {
  return definition;
}
