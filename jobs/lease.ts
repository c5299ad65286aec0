import type { Sql } from "../db/sql.ts";
import { type AttemptKey, renewLease } from "../db/job_attempts.ts";
import { isUnavailable } from "../db/pg_errors.ts";
import type { JobContext } from "./define_job.ts";

export type Lease = ReturnType<typeof holdLease>;

type Progress = Parameters<JobContext["progress"]>[0];

interface LeaseOptions {
  readonly leaseMs: number;
  /** By `performance.now()`, not later than PostgreSQL's start of the lease. */
  readonly since: number;
  /**
   * Called once when the job is cancelled or belongs to another attempt. `database away`: the lease
   * ended without a renewal since PostgreSQL was unavailable; whether it is lost isn't known.
   */
  readonly onStop: (why: "cancelled" | "lease lost" | "database away") => void;
}

/** Often enough for a person who watches the progress or waits for the job to stop. */
const MAX_DELAY_MS = 3_000;
const RETRY_MS = 500;
const MAX_NOTICE_MS = 5_000;

/** How long before a rescue it is stored that the lease is about to end, in ms. */
export function noticeBeforeRescueMs(leaseMs: number): number {
  return Math.min(leaseMs / 3, MAX_NOTICE_MS);
}

/** How soon a worker tries again after a failed write, in ms: before the rescue. */
export function retryWithinMs(leaseMs: number): number {
  return noticeBeforeRescueMs(leaseMs) / 2;
}

/** Renews the lease of a running job after a third of it, or more often, until it is disposed. */
export function holdLease(
  sql: Sql,
  job: AttemptKey,
  { leaseMs, since, onStop }: LeaseOptions,
) {
  const pauseMs = Math.min(leaseMs / 3, MAX_DELAY_MS);
  let ownedUntil = since + leaseMs;
  let progress: Progress | undefined;
  let timer: ReturnType<typeof setTimeout>;
  let isOver = false;

  const stop: LeaseOptions["onStop"] = (why) => {
    isOver = true;
    onStop(why);
  };
  const renew = async () => {
    const requested = performance.now();
    const renewed = await renewLease(sql, job, leaseMs, progress).catch((error) => ({ error }));
    if (isOver) return;
    if (renewed === undefined) return stop("lease lost");
    if ("error" in renewed) {
      if (performance.now() > ownedUntil) {
        return stop(isUnavailable(renewed.error) ? "database away" : "lease lost");
      }
      timer = setTimeout(renew, Math.min(RETRY_MS, retryWithinMs(leaseMs)));
      return;
    }
    ownedUntil = requested + leaseMs;
    if (renewed.cancel_requested) return stop("cancelled");
    timer = setTimeout(renew, pauseMs);
  };
  timer = setTimeout(renew, pauseMs);

  return {
    /** Stored with the next renewal. */
    report: (soFar: Progress) => void (progress = soFar),
    /** For how long the job is certainly ours, in ms; it may be ours for longer. */
    leftMs: () => ownedUntil - performance.now(),
    [Symbol.dispose]: () => {
      isOver = true;
      clearTimeout(timer);
    },
  };
}
