import type { Valkey } from "../cache/valkey.ts";
import {
  type ClaimedJob,
  claimJobInTurn,
  claimNextJob,
  discardUnknownKinds,
  endAttempt,
  rescueExpiredJobs,
} from "../db/job_attempts.ts";
import { delay } from "../timing.ts";
import { type AttemptDeps, runAttempt } from "./attempt.ts";
import type { JobDefinition } from "./define_job.ts";
import { noticeBeforeRescueMs } from "./lease.ts";
import { createJobQueue } from "./queue.ts";
import { runLoop } from "./run_loop.ts";
import type { Threads } from "./threads.ts";

interface WorkerDeps extends Omit<AttemptDeps, "threads" | "leaseMs" | "shutdown"> {
  readonly createThreads: (statementTimeoutMs: number) => Threads;
  readonly valkey?: Valkey | undefined;
}

export interface WorkerOptions {
  /** Stored in its jobs. */
  readonly name: string;
  /** The most concurrent jobs, of all kinds together. */
  readonly maxConcurrent: number;
  /** How long a job belongs to a worker that doesn't renew its lease. */
  readonly leaseMs?: number;
  /** How long running jobs may continue after `signal` was aborted. */
  readonly graceMs?: number;
  /** Aborted to start no new jobs and to end. */
  readonly signal: AbortSignal;
}

const LEASE_MS = 30_000;
/** How long running jobs may go on after SIGTERM, in ms. */
export const GRACE_MS = 10_000;

/** The pause between two sweeps of due jobs, in ms, and after one that found some. */
const SWEEP_MS = 200;
const SWEEP_AGAIN_MS = 50;
/** How often empty lists are read, in ms, and PostgreSQL when there are no lists. */
const IDLE_MS = 100;
const IDLE_WITHOUT_LISTS_MS = 250;
/** How long a worker without room waits for the end of a job, in ms. */
const BUSY_MS = 1_000;
const MAX_RESCUE_DELAY_MS = 1_000;

/**
 * Runs jobs of these kinds until the signal is aborted; resolves when the running ones have finished or
 * were released after their grace. Never rejects: while PostgreSQL is unavailable it tries again.
 */
export async function runWorker(
  definitions: readonly JobDefinition[],
  deps: WorkerDeps,
  options: WorkerOptions,
): Promise<void> {
  const { queueSql, log, metrics, valkey } = deps;
  const { signal, maxConcurrent, leaseMs = LEASE_MS, graceMs = GRACE_MS } = options;
  using resources = new DisposableStack();
  const byKind = new Map(definitions.map((definition) => {
    const threads = resources.use(deps.createThreads(definition.timeoutMs));
    return [definition.kind, { definition, threads }];
  }));
  const queue = createJobQueue(queueSql, valkey, [...byKind.keys()]);
  const claimant = { worker: options.name, leaseMs };
  const shutdown = new AbortController();
  const running = new Map<Promise<void>, string>();
  // Ends a wait early; while nobody waits, it ends the next one.
  let wakeup = new AbortController();
  const wake = () => wakeup.abort();
  signal.addEventListener("abort", wake);
  const wait = async (ms: number) => {
    await delay(ms, wakeup.signal);
    if (wakeup.signal.aborted) wakeup = new AbortController();
  };

  const kindsWithRoom = () => {
    if (running.size >= maxConcurrent) return [];
    const kinds = [...running.values()];
    return definitions
      .filter(({ kind, concurrency }) => kinds.filter((one) => one === kind).length < concurrency)
      .map(({ kind }) => kind);
  };

  const start = (
    job: ClaimedJob,
    { definition, threads }: { readonly definition: JobDefinition; readonly threads: Threads },
    since: number,
  ) => {
    const attempt = runAttempt(job, definition, since, {
      ...deps,
      threads,
      leaseMs,
      shutdown: shutdown.signal,
    }).finally(() => {
      running.delete(attempt);
      wake();
    });
    running.set(attempt, job.kind);
  };

  /** Starts as many jobs as there is room for; returns how long to wait until the next try, in ms. */
  const startJobs = async (): Promise<number> => {
    while (!signal.aborted) {
      const kinds = kindsWithRoom();
      if (kinds.length === 0) return BUSY_MS;
      const id = await queue.pop(kinds);
      if (id === undefined) return IDLE_MS;
      const since = performance.now();
      const job = id === "unavailable"
        ? await claimNextJob(queueSql, kinds, claimant)
        : await claimJobInTurn(queueSql, id, claimant);
      if (job === undefined && id === "unavailable") return IDLE_WITHOUT_LISTS_MS;
      if (job === undefined) continue;
      const ofKind = byKind.get(job.kind);
      if (ofKind === undefined || signal.aborted) {
        await endAttempt(queueSql, job, { is: "released" });
      } else start(job, ofKind, since);
    }
    return 0;
  };
  const sweep = async () => {
    if (await queue.sweep() === 0) return SWEEP_MS;
    wake();
    return SWEEP_AGAIN_MS;
  };
  const maxAttempts = Object.fromEntries(
    definitions.map((definition) => [definition.kind, definition.maxAttempts]),
  );
  const noticeMs = noticeBeforeRescueMs(leaseMs);
  const rescue = async () => {
    for (const job of await rescueExpiredJobs(queueSql, maxAttempts, noticeMs)) {
      const { id, kind, attempt, state } = job;
      log("warn", "job_lease_expired", { job: id, kind, attempt, state });
      metrics?.rescued(kind);
      if (state !== "dead") continue;
      metrics?.died(kind);
      log("error", "job_dead", { job: id, kind, attempt });
    }
    for (const { id, kind } of await discardUnknownKinds(queueSql, [...byKind.keys()])) {
      metrics?.died(kind);
      log("warn", "job_kind_unknown", { job: id, kind });
    }
    return Math.min(leaseMs / 3, MAX_RESCUE_DELAY_MS);
  };

  await Promise.all([
    runLoop("job_claim_failed", startJobs, { signal, log, wait }),
    runLoop("job_push_failed", sweep, { signal, log }),
    runLoop("job_rescue_failed", rescue, { signal, log }),
  ]);
  const graceIsOver = setTimeout(() => shutdown.abort(), graceMs);
  await Promise.all(running.keys());
  clearTimeout(graceIsOver);
}
