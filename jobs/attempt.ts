import { addAbortListener } from "node:events";
import type { Sql } from "../db/sql.ts";
import { type ClaimedJob, completeJob, completeJobWith, endAttempt } from "../db/job_attempts.ts";
import type { JobState } from "../db/jobs.ts";
import { isStatementTimeout, isUnavailable } from "../db/pg_errors.ts";
import type { Replica } from "../db/replica.ts";
import { describeError, type Log, type LogEvent, type LogLevel } from "../log.ts";
import { delay } from "../timing.ts";
import type { Effect, JobContext, JobDefinition } from "./define_job.ts";
import type { JobMetrics } from "./job_metrics.ts";
import { holdLease, type Lease, retryWithinMs } from "./lease.ts";
import { JobStoppedError, type NextState, nextState, type Outcome } from "./outcome.ts";
import { runOnReplica } from "./replica_task.ts";
import { inSpan } from "../telemetry/tracing.ts";
import type { Threads } from "./threads.ts";

export interface AttemptDeps {
  /** For the queue's own statements, so that jobs can't delay them. */
  readonly queueSql: Sql;
  /** For the job. */
  readonly sql: Sql;
  /** For the jobs of this kind. */
  readonly threads: Threads;
  readonly replica?: Replica | undefined;
  readonly metrics?: JobMetrics | undefined;
  readonly log: Log;
  readonly leaseMs: number;
  /** Stops the job and releases it. */
  readonly shutdown: AbortSignal;
}

interface RunningDeps extends AttemptDeps {
  readonly lease: Lease;
  /** Aborted to stop the job. */
  readonly signal: AbortSignal;
}

/** How long a job may take to stop, in ms; after that its end is not awaited. */
const SETTLE_MS = 2_000;
/** The first and the longest pause before another try to store an outcome, in ms. */
const RETRY_MS = 300;
const MAX_RETRY_MS = 1_000;

const ENDS: Record<NextState["is"], readonly [LogLevel, LogEvent]> = {
  finished: ["info", "job_finished"],
  failed: ["warn", "job_failed"],
  postponed: ["warn", "job_postponed"],
  deferred: ["info", "job_deferred"],
  cancelled: ["info", "job_cancelled"],
  released: ["info", "job_released"],
  lease_lost: ["warn", "job_lease_lost"],
};

/** Runs a job that was claimed at `since` (by `performance.now()`) and stores its outcome. Never throws. */
export function runAttempt(
  job: ClaimedJob,
  definition: JobDefinition,
  since: number,
  deps: AttemptDeps,
): Promise<void> {
  const { id, kind, attempt, traceparent } = job;
  return inSpan(`job ${kind}`, {
    kind: "consumer",
    attributes: { "lotline.job.id": id, "lotline.job.kind": kind, "lotline.job.attempt": attempt },
    causes: traceparent,
  }, (span) => attemptOnce(job, definition, since, deps, span));
}

async function attemptOnce(
  job: ClaimedJob,
  definition: JobDefinition,
  since: number,
  deps: AttemptDeps,
  span: { setAttribute(name: string, value: string): unknown } | undefined,
): Promise<void> {
  const about = { job: job.id, kind: job.kind, attempt: job.attempt };
  deps.log("debug", "job_started", about);
  const abort = new AbortController();
  const { signal } = abort;
  const stop = (why: JobStoppedError["why"]) => {
    if (!completion.hasBegun) abort.abort(new JobStoppedError(why));
  };
  using lease = holdLease(deps.queueSql, job, { leaseMs: deps.leaseMs, since, onStop: stop });
  const running: RunningDeps = { ...deps, lease, signal };
  const completion = createCompletion(job, running);
  const timer = setTimeout(() => stop("timeout"), definition.timeoutMs);
  using _shutdown = addAbortListener(deps.shutdown, () => stop("shutdown"));
  try {
    const outcome = await outcomeOf(job, definition, completion, running);
    lease[Symbol.dispose]();
    const { next, state } = await store(job, definition, outcome, deps);
    const [level, event] = ENDS[next.is];
    span?.setAttribute("lotline.job.outcome", next.is);
    const ms = performance.now() - since;
    deps.metrics?.ended(job.kind, next.is, ms / 1_000);
    if (next.is === "failed" && state === "ready") deps.metrics?.retried(job.kind);
    if (state === "dead") deps.metrics?.died(job.kind);
    deps.log(level, event, {
      ...about,
      ms: Math.round(ms),
      ...("error" in next && { error: next.error, retry_in_ms: next.retryInMs ?? "never" }),
      ...(next.is === "deferred" && { retry_in_ms: next.retryInMs }),
    });
    if (state === "dead") deps.log("error", "job_dead", about);
  } catch (error) {
    // Its lease will end, and another worker will rescue it.
    deps.metrics?.ended(job.kind, "not_stored", (performance.now() - since) / 1_000);
    deps.log("error", "job_end_not_stored", { ...about, error: describeError(error) });
  } finally {
    clearTimeout(timer);
  }
}

async function outcomeOf(
  job: ClaimedJob,
  definition: JobDefinition,
  completion: ReturnType<typeof createCompletion>,
  { lease, signal, sql, threads, replica, log }: RunningDeps,
): Promise<Outcome> {
  const now = Date.now();
  const quietUntil = job.priority === 0 ? undefined : definition.quietUntil?.(now);
  if (quietUntil !== undefined) return { is: "quiet", endMs: quietUntil - now };
  const args = definition.args.safeParse(job.arguments);
  if (!args.success) {
    const places = args.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    return { is: "invalid_args", message: `its arguments don't fit: ${places.join("; ")}` };
  }
  const context: JobContext = {
    sql,
    onThread: (task, args, mark = { job: job.id, token: job.token }) =>
      runOnReplica({ threads, replica }, task, args, mark, { signal, progress: lease.report }),
    attemptId: job.token,
    signal,
    progress: lease.report,
    log,
    complete: completion.complete,
  };
  const run = async (): Promise<Outcome> => {
    try {
      await definition.run(args.data, context);
      await completion.end();
      return { is: "completed" };
    } catch (error) {
      if (error instanceof JobStoppedError) return { is: "stopped", why: error.why };
      return { is: "threw", error };
    }
  };
  const running = run();
  const stopped = new Promise<Outcome>((resolve) =>
    addAbortListener(signal, () => {
      const { why }: JobStoppedError = signal.reason;
      resolve({ is: "stopped", why });
    })
  );
  const outcome = await Promise.race([running, stopped]);
  if (outcome.is !== "stopped") return signal.aborted ? await stopped : outcome;
  // It can't complete the job any more.
  const settled = await Promise.race([running, delay(SETTLE_MS)]);
  if (settled === undefined) {
    log("warn", "job_ignored_signal", { job: job.id, kind: job.kind });
  }
  return outcome;
}

/** Stores the job's next state; a completed job is stored already. Returns its state if it is ours. */
async function store(
  job: ClaimedJob,
  definition: JobDefinition,
  outcome: Outcome,
  deps: AttemptDeps,
): Promise<{ readonly next: NextState; readonly state?: JobState }> {
  const uncounted = job.starts - job.attempt;
  const next = nextState(outcome, job.attempt, definition.maxAttempts, Math.random(), uncounted);
  if (next.is === "finished") return { next, state: "done" };
  const state = next.is === "lease_lost"
    ? undefined
    : await untilStored(() => endAttempt(deps.queueSql, job, next), deps);
  return state === undefined ? { next: { is: "lease_lost" } } : { next, state };
}

/**
 * Completes a job once. While PostgreSQL is unavailable it tries again with the job's token, by which
 * PostgreSQL decides whether the job is still ours. It stops after half of the remaining lease: in the
 * other half the job can be postponed.
 */
function createCompletion(
  job: ClaimedJob,
  { queueSql, leaseMs, shutdown, lease, signal }: RunningDeps,
) {
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
    /** Once true, nothing stops the job. */
    get hasBegun() {
      return completed !== undefined;
    },
    /** See `JobContext` in define_job.ts. */
    async complete(effect: Effect) {
      if (completed !== undefined) throw new Error("a job is completed once");
      await (completed = completeOnce(effect));
    },
    /** Completes a job that has returned, without an effect, unless it has completed itself. */
    end: () => completed ??= completeOnce(undefined),
  };
}

/**
 * Stores the outcome of a job, with retries while PostgreSQL is unavailable.
 *
 * @param until no try begins later, by `performance.now()`
 * @param isLong whether a statement that timed out would take as long again
 * @throws PostgreSQL's error when another try is useless or too late
 */
async function untilStored<T>(
  store: () => Promise<T>,
  { leaseMs, shutdown, until = Infinity, isLong = false }:
    & Pick<AttemptDeps, "leaseMs" | "shutdown">
    & { readonly until?: number; readonly isLong?: boolean },
): Promise<T> {
  for (let tries = 1;; tries++) {
    try {
      return await store();
    } catch (error) {
      const retryMs = Math.min(RETRY_MS * tries, MAX_RETRY_MS, retryWithinMs(leaseMs));
      const canRetry = isUnavailable(error) && !(isLong && isStatementTimeout(error));
      if (!canRetry || shutdown.aborted || performance.now() + retryMs >= until) throw error;
      await delay(retryMs, shutdown);
    }
  }
}
