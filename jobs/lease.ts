import type { Sql } from "../db/connect.ts";
import { type AttemptKey, renewLease } from "../db/job_attempts.ts";

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
  /** Is told once that the job was called off or is someone else's by now. */
  readonly onStop: (why: "cancelled" | "lease lost") => void;
}

/** Often enough for a person who watches the progress or waits for the job to stop, in ms. */
const LONGEST_PAUSE_MS = 3_000;
const RETRY_MS = 500;

/** Renews a lease at a third of it, or more often. */
export function keepLease(
  sql: Sql,
  job: AttemptKey,
  { leaseMs, since, onStop }: LeaseOptions,
): Lease {
  const pauseMs = Math.min(leaseMs / 3, LONGEST_PAUSE_MS);
  let sureUntil = since + leaseMs;
  let progress: Record<string, number | string> | undefined;
  let timer: ReturnType<typeof setTimeout>;
  let isOver = false;

  const stop = (why: "cancelled" | "lease lost") => {
    isOver = true;
    onStop(why);
  };
  const renew = async () => {
    const asked = performance.now();
    const renewed = await renewLease(sql, job, leaseMs, progress).catch(() => "no answer" as const);
    if (isOver) return;
    if (renewed === undefined) return stop("lease lost");
    if (renewed === "no answer") {
      if (performance.now() > sureUntil) return stop("lease lost");
      timer = setTimeout(renew, Math.min(RETRY_MS, pauseMs));
      return;
    }
    sureUntil = asked + leaseMs;
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

const MOST_VALUES = 20;
const LONGEST_VALUE = 200;

/** What a jsonb column takes; a renewal that PostgreSQL refuses would lose the lease. */
function storableProgress(
  values: Readonly<Record<string, number | string>>,
): Record<string, number | string> {
  const entries = Object.entries(values).slice(0, MOST_VALUES).map(([name, value]) => [
    storable(name),
    typeof value === "string" ? storable(value) : value,
  ]);
  return Object.fromEntries(entries);
}

function storable(text: string): string {
  return text.slice(0, LONGEST_VALUE).replaceAll("\0", "?").toWellFormed();
}
