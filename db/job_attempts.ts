import type { Sql, Statement } from "./sql.ts";
import { timed } from "./query_deadline.ts";
import type { JobPriority } from "./jobs.ts";
import { inTransaction } from "./transaction.ts";

/*
 * `lotline.jobs` for those who do the work. A job that runs belongs to one attempt, which knows its
 * token, until its lease is over by PostgreSQL's clock; after that whatever the attempt still wants
 * to store finds no row.
 */

/** A job that this worker runs now. */
export interface ClaimedJob {
  readonly id: string;
  readonly kind: string;
  readonly arguments: unknown;
  readonly priority: JobPriority;
  /** 1 for the first start. */
  readonly attempt: number;
  /** The same, but also with the starts that count as no attempt. */
  readonly starts: number;
  readonly token: string;
}

/** Names an attempt. */
export type AttemptKey = Pick<ClaimedJob, "id" | "token">;

/** For whom a job is claimed, and for how long (ms) unless that is renewed. */
export interface Claimant {
  readonly worker: string;
  readonly leaseMs: number;
}

/**
 * How often a job is started at most, whatever became of it. It has room for all attempts and for
 * many deployments; a job that each time runs into a shutdown is told of in the end.
 */
export const MAX_STARTS = 100;

const STARTED_TOO_OFTEN = `it was started ${MAX_STARTS} times and never came to an end`;

const leaseEnd = (sql: Sql, leaseMs: number) =>
  sql`now() + ${leaseMs}::float8 * interval '1 millisecond'`;

// A worker of before migration 0019 counts attempts alone.
const start = (sql: Sql, { worker, leaseMs }: Claimant) =>
  sql`state = 'running', attempt = attempt + 1, starts = greatest(starts, attempt) + 1,
    token = gen_random_uuid(), worker = ${worker}, started_at = now(), finished_at = null,
    silent_since = null, lease_until = ${leaseEnd(sql, leaseMs)}`;

// What an attempt that is over leaves behind; its id must be put on a list again.
const makeReady = (sql: Sql) =>
  sql`token = null, worker = null, lease_until = null, pushed_at = null`;

const CLAIMED = (sql: Sql) =>
  sql`job.id, job.kind, job.arguments, job.priority, job.attempt, job.starts, job.token`;

/**
 * Takes the due job whose turn it is, of the kind and priority of one whose id was on a list:
 * whatever order the ids came in, no account waits behind all jobs of another. Nothing when none
 * is due. The job that was named has its id put on a list again if the other one had none there, so
 * that there are as many ids as jobs.
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

/** Takes the most urgent due job of these kinds whose turn it is, without asking Valkey. */
export async function claimNextJob(
  sql: Sql,
  kinds: readonly string[],
  claimant: Claimant,
): Promise<ClaimedJob | undefined> {
  // Kind by kind, so that a long queue of a kind that isn't asked for costs nothing.
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

/**
 * Prolongs a lease and stores how far the job is. Tells whether it was called off; nothing back:
 * the lease is lost.
 */
export async function renewLease(
  sql: Sql,
  { id, token }: AttemptKey,
  leaseMs: number,
  progress: Readonly<Record<string, number | string>> | undefined,
): Promise<{ readonly cancel_requested: boolean } | undefined> {
  const [row] = await timed(sql)<{ cancel_requested: boolean }[]>`
    update lotline.jobs set
      lease_until = ${leaseEnd(sql, leaseMs)},
      silent_since = null,
      progress = coalesce(${progress === undefined ? null : sql.json(progress)}, progress)
    where id = ${id} and token = ${token} and state = 'running'
    returning cancel_requested`;
  return row;
}

/**
 * Marks a job done. In a transaction, its effect belongs behind this: both happen or neither.
 *
 * @param tx a transaction, or a pool for a job without an effect
 * @returns `now`; `before`, when the attempt has done so already and the answer to its commit was
 * lost: its effect has happened then; nothing, when the job is another attempt's by now
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
  // A statement of its own, since the first may have waited for the very commit that it doesn't see.
  const done = await timed(
    tx,
  )`select from lotline.jobs where id = ${id} and token = ${token} and state = 'done'`;
  return done.count > 0 ? "before" : undefined;
}

/**
 * Marks a job done and lets its effect happen, in one transaction: both or neither. Gives what
 * {@link completeJob} does; unless that is `now`, nothing happens.
 */
export function completeJobWith(
  sql: Sql,
  job: AttemptKey,
  effect: (tx: Sql) => Promise<unknown>,
): Promise<"now" | "before" | undefined> {
  return inTransaction(sql, async (tx) => {
    const done = await completeJob(tx, job);
    if (done === "now") await effect(tx);
    return done;
  });
}

/** A state in which an attempt that didn't finish its job leaves it. */
export type UnfinishedState = "ready" | "dead" | "cancelled";

/**
 * Stores that an attempt failed: the job is tried again after `retryInMs`, or dead without it, or
 * when it was started {@link MAX_STARTS} times. A job that was called off meanwhile is not tried
 * again. Gives its state; nothing: it is another attempt's by now.
 *
 * @param isCounted false: it was not the job's fault, and it has as many attempts left as before
 */
export async function failJob(
  sql: Sql,
  key: AttemptKey,
  { error, retryInMs, isCounted = true }: {
    readonly error: string;
    readonly retryInMs?: number | undefined;
    readonly isCounted?: boolean;
  },
): Promise<UnfinishedState | undefined> {
  return await endAttempt(sql, key, {
    error: sql`${error}`,
    lastError: retryInMs === undefined ? error : `${STARTED_TOO_OFTEN}; the last error: ${error}`,
    isLast: retryInMs === undefined,
    runAt: sql`now() + ${retryInMs ?? 0}::float8 * interval '1 millisecond'`,
    isCounted,
  });
}

/** Stores that an attempt has stopped because its job was called off. */
export async function endCancelledJob(sql: Sql, { id, token }: AttemptKey): Promise<boolean> {
  const ended = await timed(sql)`
    update lotline.jobs set ${makeReady(sql)}, state = 'cancelled', finished_at = now()
    where id = ${id} and token = ${token} and state = 'running'
    returning id`;
  return ended.count > 0;
}

/**
 * Gives a job back so that another worker can start it at once; it counts as a start, and as no
 * attempt. Gives its state; nothing: it is another attempt's by now.
 */
export async function releaseJob(
  sql: Sql,
  key: AttemptKey,
): Promise<UnfinishedState | undefined> {
  return await endAttempt(sql, key, {
    error: sql`last_error`,
    lastError: `${STARTED_TOO_OFTEN}; the last time its worker was shut down`,
    isLast: false,
    runAt: sql`run_at`,
    isCounted: false,
  });
}

/**
 * Gives a job back that nobody waits for, to be started in `ms`; at once if somebody has asked for it
 * meanwhile. It counts as {@link releaseJob} does.
 */
export async function deferJob(
  sql: Sql,
  key: AttemptKey,
  ms: number,
): Promise<UnfinishedState | undefined> {
  return await endAttempt(sql, key, {
    error: sql`last_error`,
    lastError: `${STARTED_TOO_OFTEN}; the last time in the quiet hours`,
    isLast: false,
    runAt: sql`case when priority = 0 then run_at
      else now() + ${ms}::float8 * interval '1 millisecond' end`,
    isCounted: false,
  });
}

async function endAttempt(
  sql: Sql,
  { id, token }: AttemptKey,
  { error, lastError, isLast, runAt, isCounted }: {
    readonly error: Statement;
    /** The error of a job that is dead now. */
    readonly lastError: string;
    readonly isLast: boolean;
    readonly runAt: Statement;
    readonly isCounted: boolean;
  },
): Promise<UnfinishedState | undefined> {
  const isOver = sql`(${isLast} or starts >= ${MAX_STARTS}::int)`;
  const [ended] = await timed(sql)<{ state: UnfinishedState }[]>`
    update lotline.jobs set
      ${makeReady(sql)},
      attempt = attempt - ${isCounted ? 0 : 1}::int,
      last_error = case
        when ${isOver} and not cancel_requested then ${lastError} else ${error}
      end,
      state = case
        when cancel_requested then 'cancelled' when ${isOver} then 'dead' else 'ready'
      end,
      finished_at = case when cancel_requested or ${isOver} then now() end,
      run_at = ${runAt}
    where id = ${id} and token = ${token} and state = 'running'
    returning state`;
  return ended?.state;
}

/** A job whose worker was lost, and what became of it. */
export interface ExpiredJob {
  readonly id: string;
  readonly kind: string;
  readonly attempt: number;
  readonly state: UnfinishedState;
}

// More of them wait for the next round.
const MAX_RESCUED_JOBS = 500;

/**
 * Takes back jobs whose lease is over: they are ready again, or dead after their last attempt or
 * start. That the lease is about to end is noted before, `noticeMs` at least: a database that let
 * nobody write lets the worker, if it lives, renew the lease or store what became of the job, first.
 *
 * @param maxAttempts by kind; one that isn't named has no last attempt
 * @param noticeMs 0: nothing is noted
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

/** How long a job of an unknown kind waits for a newer worker that may know it, in minutes. */
const UNKNOWN_KIND_GRACE_MINUTES = 60;

/** Gives up jobs that are due for an hour and of none of these kinds. */
export async function discardUnknownKinds(
  sql: Sql,
  kinds: readonly string[],
): Promise<readonly { readonly id: string; readonly kind: string }[]> {
  return await timed(sql)<{ id: string; kind: string }[]>`
    with stranger as (
      select id from lotline.jobs
      where state = 'ready' and kind not in ${sql(kinds)}
        and run_at < now() - ${UNKNOWN_KIND_GRACE_MINUTES}::int * interval '1 minute'
      limit ${MAX_RESCUED_JOBS} for update skip locked
    )
    update lotline.jobs job set
      state = 'dead', finished_at = now(),
      last_error = format('no worker knows jobs of kind %s', job.kind)
    from stranger where job.id = stranger.id
    returning job.id, job.kind`;
}
