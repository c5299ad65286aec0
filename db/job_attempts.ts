import type { Sql } from "./sql.ts";
import { timed } from "./query_deadline.ts";
import type { JobPriority } from "./jobs.ts";

/*
 * `lotline.jobs` for workers. A running job belongs to the attempt with its token until its lease ends
 * by PostgreSQL's clock; after that no statement of the attempt finds its row.
 */

export interface ClaimedJob {
  readonly id: string;
  readonly kind: string;
  readonly arguments: unknown;
  readonly priority: JobPriority;
  /** 1 for the first start. */
  readonly attempt: number;
  /** The same, with the starts that count as no attempt. */
  readonly starts: number;
  readonly token: string;
  /** The request that caused it, as `causes` of a span in telemetry/tracing.ts. */
  readonly traceparent: string | null;
}

export type AttemptKey = Pick<ClaimedJob, "id" | "token">;

interface Claimant {
  readonly worker: string;
  readonly leaseMs: number;
}

/**
 * The most starts of a job, with room for all attempts and many deployments: a job that always meets a
 * shutdown becomes dead in the end.
 */
export const MAX_STARTS = 100;

const STARTED_TOO_OFTEN = `it was started ${MAX_STARTS} times and never came to an end`;

const inMs = (sql: Sql, ms: number | null) => sql`now() + ${ms}::float8 * interval '1 millisecond'`;

// A worker from before migration 0019 counts only attempts.
const start = (sql: Sql, { worker, leaseMs }: Claimant) =>
  sql`state = 'running', attempt = attempt + 1, starts = greatest(starts, attempt) + 1,
    token = gen_random_uuid(), worker = ${worker}, started_at = now(), finished_at = null,
    silent_since = null, lease_until = ${inMs(sql, leaseMs)}`;

// The attempt is over, and the job's id must be pushed again.
const makeReady = (sql: Sql) =>
  sql`token = null, worker = null, lease_until = null, pushed_at = null`;

const CLAIMED = (sql: Sql) =>
  sql`job.id, job.kind, job.arguments, job.priority, job.attempt, job.starts, job.token,
    job.traceparent`;

/**
 * Claims the due job whose turn it is, of the kind and priority of the job with this id: no account
 * waits behind all jobs of another. If the claimed job was on no list, the id is pushed again, so that
 * there are as many ids as jobs.
 */
export async function claimJobInTurn(
  sql: Sql,
  id: string,
  claimant: Claimant,
): Promise<ClaimedJob | undefined> {
  const [job] = await timed(sql)<ClaimedJob[]>`
    with next as materialized (
      select one.id, one.pushed_at
      from lotline.jobs named cross join lateral (
        select id, pushed_at from lotline.jobs
        where state = 'ready' and jobs.kind = named.kind and jobs.priority = named.priority
          and run_at <= now()
        order by turn, run_at limit 1 for update skip locked
      ) one
      where named.id = ${id}
    ), passed_over as (
      update lotline.jobs set pushed_at = null where id in (
        select id from lotline.jobs
        where id = ${id} and state = 'ready'
          and exists (select from next where pushed_at is null and id <> ${id})
        for update skip locked
      )
    )
    update lotline.jobs job set ${start(sql, claimant)}
    where id = (select id from next) and state = 'ready'
    returning ${CLAIMED(sql)}`;
  return job;
}

/** Claims the most urgent due job of these kinds whose turn it is, without Valkey. */
export async function claimNextJob(
  sql: Sql,
  kinds: readonly string[],
  claimant: Claimant,
): Promise<ClaimedJob | undefined> {
  // Kind by kind, so that a long queue of another kind costs nothing.
  const [job] = await timed(sql)<ClaimedJob[]>`
    with first as materialized (
      select one.id, one.priority, one.run_at
      from jsonb_array_elements_text(${sql.json(kinds)}) asked (kind)
      cross join lateral (
        select id, priority, run_at from lotline.jobs
        where state = 'ready' and jobs.kind = asked.kind and run_at <= now()
        order by priority, turn, run_at limit 1 for update skip locked
      ) one
    )
    update lotline.jobs job set ${start(sql, claimant)}
    where id = (select id from first order by priority, run_at limit 1) and state = 'ready'
    returning ${CLAIMED(sql)}`;
  return job;
}

/** Renews a lease and stores the job's progress. Returns nothing when the lease is lost. */
export async function renewLease(
  sql: Sql,
  { id, token }: AttemptKey,
  leaseMs: number,
  progress: Readonly<Record<string, number>> | undefined,
): Promise<{ readonly cancel_requested: boolean } | undefined> {
  const [row] = await timed(sql)<{ cancel_requested: boolean }[]>`
    update lotline.jobs set
      lease_until = ${inMs(sql, leaseMs)},
      silent_since = null,
      progress = coalesce(${progress === undefined ? null : sql.json(progress)}, progress)
    where id = ${id} and token = ${token} and state = 'running'
    returning cancel_requested`;
  return row;
}

/**
 * Marks a job done.
 *
 * @param tx a transaction, or a pool for a job without an effect
 * @returns `now`; `before`, when this attempt has done so, with its effect, and the response to its
 * commit was lost; nothing, when the job belongs to another attempt by now
 */
export async function completeJob(
  tx: Sql,
  { id, token }: AttemptKey,
): Promise<"now" | "before" | undefined> {
  const completed = await timed(tx)`
    update lotline.jobs set state = 'done', finished_at = now(), last_error = null,
      worker = null, lease_until = null
    where id = ${id} and token = ${token} and state = 'running'`;
  if (completed.count > 0) return "now";
  // A second statement, since the first may have waited for the very commit that it doesn't see.
  const done = await timed(tx)`
    select from lotline.jobs where id = ${id} and token = ${token} and state = 'done'`;
  return done.count > 0 ? "before" : undefined;
}

/** {@link completeJob} with the job's effect in the same transaction, unless it was done before. */
export async function completeJobWith(
  sql: Sql,
  job: AttemptKey,
  effect: (tx: Sql) => Promise<unknown>,
): Promise<"now" | "before" | undefined> {
  return await sql.begin(async (transaction) => {
    // A pool passes a `sql` of its own kind: see pool.ts.
    const tx = transaction as unknown as Sql;
    const done = await completeJob(tx, job);
    if (done === "now") await effect(tx);
    return done;
  });
}

/** The state of a job after an attempt that didn't finish it. */
type UnfinishedState = "ready" | "dead" | "cancelled";

/** How an attempt ended that didn't finish its job. Without `retryInMs` a failed job is dead. */
export type AttemptEnd =
  | { readonly is: "failed"; readonly error: string; readonly retryInMs?: number }
  /** An outage of the database, or arguments of another version, which cost no attempt. */
  | { readonly is: "postponed"; readonly error: string; readonly retryInMs: number }
  /** It waits for the end of the quiet hours, unless it becomes urgent. It costs no attempt. */
  | { readonly is: "deferred"; readonly retryInMs: number }
  /** Another worker can start it at once. It costs no attempt. */
  | { readonly is: "released" }
  | { readonly is: "cancelled" };

function lastTime(end: AttemptEnd): string {
  if ("error" in end) return `the last error: ${end.error}`;
  return end.is === "deferred"
    ? "the last time in the quiet hours"
    : "the last time its worker was shut down";
}

/**
 * Stores how an attempt ended. The job is dead after {@link MAX_STARTS}; one that was cancelled
 * meanwhile is cancelled. Returns its state, or nothing: it belongs to another attempt by now.
 */
export async function endAttempt(
  sql: Sql,
  { id, token }: AttemptKey,
  end: AttemptEnd,
): Promise<UnfinishedState | undefined> {
  const error = "error" in end ? end.error : null;
  const retryInMs = "retryInMs" in end ? end.retryInMs ?? null : null;
  const isLast = end.is === "failed" && retryInMs === null;
  const isCounted = end.is === "failed" || end.is === "cancelled";
  const isOver = sql`(${isLast} or starts >= ${MAX_STARTS}::int)`;
  const [ended] = await timed(sql)<{ state: UnfinishedState }[]>`
    update lotline.jobs set
      ${makeReady(sql)},
      attempt = attempt - ${isCounted ? 0 : 1}::int,
      last_error = case
        when ${isOver} and not cancel_requested
        then ${isLast ? error : `${STARTED_TOO_OFTEN}; ${lastTime(end)}`}
        else coalesce(${error}, last_error)
      end,
      state = case
        when cancel_requested then 'cancelled' when ${isOver} then 'dead' else 'ready'
      end,
      finished_at = case when cancel_requested or ${isOver} then now() end,
      run_at = case
        when ${end.is === "deferred"} and priority = 0 then run_at
        else coalesce(${inMs(sql, retryInMs)}, run_at)
      end
    where id = ${id} and token = ${token} and state = 'running'
    returning state`;
  return ended?.state;
}

/** A job whose worker was lost, with its state since. */
type ExpiredJob = Pick<ClaimedJob, "id" | "kind" | "attempt"> & { readonly state: UnfinishedState };

// The others wait for the next round.
const MAX_RESCUED_JOBS = 500;

/**
 * Rescues jobs whose lease has ended: they are ready again, or dead after their last attempt or start.
 * That a lease is about to end is stored at least `noticeMs` before: after a time without writes a
 * living worker can then renew it, or store the job's outcome, first.
 *
 * @param maxAttempts by kind; a kind that isn't named has no last attempt
 * @param noticeMs 0: nothing is stored before
 */
export async function rescueExpiredJobs(
  sql: Sql,
  maxAttempts: Readonly<Record<string, number>>,
  noticeMs = 0,
): Promise<readonly ExpiredJob[]> {
  const notice = sql`${noticeMs}::float8 * interval '1 millisecond'`;
  return await timed(sql)<ExpiredJob[]>`
    with silent as (
      select id, worker, silent_since is null and ${noticeMs > 0} as is_new,
        coalesce(attempt >= (${sql.json(maxAttempts)}::jsonb ->> kind)::int, false)
          or starts >= ${MAX_STARTS}::int as was_last
      from lotline.jobs
      where state = 'running' and lease_until < now() + 1.5 * ${notice} and (
        silent_since is null or lease_until < now() and silent_since < now() - ${notice}
      )
      order by lease_until limit ${MAX_RESCUED_JOBS} for update skip locked
    ), noted as (
      update lotline.jobs job set silent_since = now() from silent
      where job.id = silent.id and silent.is_new
    )
    update lotline.jobs job set
      ${makeReady(sql)},
      last_error = format('worker %s was lost: it did not renew its lease', silent.worker)
        || case when starts >= ${MAX_STARTS}::int then ${`; ${STARTED_TOO_OFTEN}`} else '' end,
      state = case
        when cancel_requested then 'cancelled' when was_last then 'dead' else 'ready'
      end,
      finished_at = case when cancel_requested or was_last then now() end,
      run_at = now()
    from silent where job.id = silent.id and not silent.is_new and lease_until < now()
    returning job.id, job.kind, job.attempt, job.state`;
}

/**
 * How long a job of an unknown kind waits, in days. A later version may have queued it: its workers come
 * after its API in an update, or come back after a downgrade. Done jobs are kept as long.
 */
const UNKNOWN_KIND_GRACE_DAYS = 7;

/** Marks jobs of other kinds as dead when they have been due for a week. */
export async function discardUnknownKinds(
  sql: Sql,
  kinds: readonly string[],
): Promise<readonly { readonly id: string; readonly kind: string }[]> {
  return await timed(sql)<{ id: string; kind: string }[]>`
    with unknown_kind as (
      select id from lotline.jobs
      where state = 'ready' and kind not in ${sql(kinds)}
        and run_at < now() - ${UNKNOWN_KIND_GRACE_DAYS}::int * interval '1 day'
      limit ${MAX_RESCUED_JOBS} for update skip locked
    )
    update lotline.jobs job set
      state = 'dead', finished_at = now(),
      last_error = format('no worker knows jobs of kind %s', job.kind)
    from unknown_kind where job.id = unknown_kind.id
    returning job.id, job.kind`;
}
