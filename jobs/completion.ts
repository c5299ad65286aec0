import type { Sql } from "../db/sql.ts";
import { type AttemptKey, completeJob, completeJobWith } from "../db/job_attempts.ts";
import type { Effect } from "./define_job.ts";
import type { Lease } from "./lease.ts";
import { JobStoppedError } from "./outcome.ts";
import { untilStored } from "./until_stored.ts";

interface Deps {
  readonly queueSql: Sql;
  readonly leaseMs: number;
  readonly shutdown: AbortSignal;
  readonly lease: Pick<Lease, "leftMs" | typeof Symbol.dispose>;
  /** The job's. */
  readonly signal: AbortSignal;
}

export interface Completion {
  /** Once true, nothing stops the job. */
  readonly hasBegun: boolean;
  /** See `JobContext` in define_job.ts. */
  complete(effect: Effect): Promise<void>;
  /** Completes a job that has returned, without an effect, unless it has completed itself. */
  end(): Promise<void>;
}

/**
 * Completes a job once. While PostgreSQL is unavailable it tries again with the job's token, by which
 * PostgreSQL decides whether the job is still ours. It stops after half of the remaining lease: in the
 * other half the job can be postponed.
 */
export function createCompletion(
  job: AttemptKey,
  { queueSql, leaseMs, shutdown, lease, signal }: Deps,
): Completion {
  let completed: Promise<void> | undefined;

  const completeOnce = async (effect: Effect | undefined): Promise<void> => {
    signal.throwIfAborted();
    lease[Symbol.dispose]();
    const until = performance.now() + lease.leftMs() / 2;
    const store = () =>
      effect === undefined ? completeJob(queueSql, job) : completeJobWith(queueSql, job, effect);
    const done = await untilStored(store, { leaseMs, shutdown, until, isLong: true });
    if (done === undefined) throw new JobStoppedError("lease lost");
  };

  return {
    get hasBegun() {
      return completed !== undefined;
    },
    async complete(effect) {
      if (completed !== undefined) throw new Error("a job is completed once");
      await (completed = completeOnce(effect));
    },
    end: () => completed ??= completeOnce(undefined),
  };
}
