import type { Sql } from "../db/sql.ts";
import { type AttemptKey, renewLease } from "../db/job_attempts.ts";
import { isUnavailable } from "../db/pg_errors.ts";
import { storable } from "../db/storable.ts";

/** The lease of a running job, renewed until this is disposed of. */
export interface Lease extends Disposable {
  /** Kept with the next renewal. */
  report(progress: Readonly<Record<string, number | string>>): void;
  /** For how long the job is surely ours, in ms; whether it still is after that PostgreSQL knows. */
  leftMs(): number;
}

interface LeaseOptions {
  readonly leaseMs: number;
  /** By `performance.now()`, not later than PostgreSQL gave the lease. */
  readonly since: number;
  /**
   * Is told once that the job was called off, is someone else's by now, or, `database away`, that
   * PostgreSQL let nobody renew the lease until it was over: whose the job is isn't known.
   */
  readonly onStop: (why: "cancelled" | "lease lost" | "database away") => void;
}

/** Often enough for a person who watches the progress or waits for the job to stop, in ms. */
const MAX_DELAY_MS = 3_000;
const RETRY_MS = 500;

/** How long a worker has to show that it lives after a time without writes, in ms at most. */
const MAX_NOTICE_MS = 5_000;

/** How long it is noted, in ms, that a lease is about to end, before its job is taken back. */
export function noticeBeforeRescueMs(leaseMs: number): number {
  return Math.min(leaseMs / 3, MAX_NOTICE_MS);
}

/** A worker that couldn't write tries it again so soon, in ms, that it comes before the rescue. */
export function retryWithinMs(leaseMs: number): number {
  return noticeBeforeRescueMs(leaseMs) / 2;
}

/** Renews a lease at a third of it, or more often. */
export function keepLease(
  sql: Sql,
  job: AttemptKey,
  { leaseMs, since, onStop }: LeaseOptions,
): Lease {
  const pauseMs = Math.min(leaseMs / 3, MAX_DELAY_MS);
  let sureUntil = since + leaseMs;
  let progress: Record<string, number | string> | undefined;
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
      if (performance.now() > sureUntil) {
        return stop(isUnavailable(renewed.error) ? "database away" : "lease lost");
      }
      timer = setTimeout(renew, Math.min(RETRY_MS, retryWithinMs(leaseMs)));
      return;
    }
    sureUntil = requested + leaseMs;
    if (renewed.cancel_requested) return stop("cancelled");
    timer = setTimeout(renew, pauseMs);
  };
  timer = setTimeout(renew, pauseMs);

  return {
    report: (values) => progress = storableProgress(values),
    leftMs: () => sureUntil - performance.now(),
    [Symbol.dispose]: () => {
      isOver = true;
      clearTimeout(timer);
    },
  };
}

const MAX_VALUES = 20;
const MAX_VALUE_CHARACTERS = 200;

/** What a jsonb column takes; a renewal that PostgreSQL refuses would lose the lease. */
function storableProgress(
  values: Readonly<Record<string, number | string>>,
): Record<string, number | string> {
  const entries = Object.entries(values).slice(0, MAX_VALUES).map(([name, value]) => [
    storable(name, MAX_VALUE_CHARACTERS),
    typeof value === "string" ? storable(value, MAX_VALUE_CHARACTERS) : value,
  ]);
  return Object.fromEntries(entries);
}
