import type postgres from "postgres";
import type { Sql, Statement } from "./sql.ts";
import { constraintOf } from "./pg_errors.ts";
import { queryWithDeadline, timed } from "./query_deadline.ts";

/*
 * `lotline.jobs` for those who want work done: asking for it, seeing how far it is, calling it off.
 * What workers do with a job is in job_attempts.ts.
 */

/** Where a job stands; `dead`: given up after its last attempt. */
export type JobState = "ready" | "running" | "done" | "dead" | "cancelled";

/** 0: a person waits for it; 1: nobody does. */
export type JobPriority = 0 | 1;

/** A job to be done. */
export interface NewJob {
  readonly kind: string;
  readonly args: Readonly<Record<string, postgres.JSONValue>>;
  readonly priority: JobPriority;
  /** Names the work: of a kind and key there is one ready or running job at a time. */
  readonly uniqueKey?: string;
  /** On whose account it is done; nobody's unless given. */
  readonly account?: string;
}

/** A row of `lotline.jobs`. Moments are UTC text. */
export interface Job {
  readonly id: string;
  readonly kind: string;
  readonly arguments: postgres.JSONValue;
  readonly priority: JobPriority;
  readonly state: JobState;
  readonly run_at: string;
  /** How often it was tried, or is being. */
  readonly attempt: number;
  /** How often it was started, also when that counts as no attempt: MAX_STARTS at most. */
  readonly starts: number;
  readonly worker: string | null;
  readonly lease_until: string | null;
  readonly unique_key: string | null;
  /** On whose account it is done: an account's id, or in `AUTH_MODE=legacy` an address. */
  readonly account: string | null;
  readonly progress: Readonly<Record<string, number | string>> | null;
  readonly last_error: string | null;
  readonly cancel_requested: boolean;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly finished_at: string | null;
}

const JOB_COLUMNS = (sql: Sql) =>
  sql`id, kind, arguments, priority, state, run_at, attempt,
    greatest(starts, attempt) as starts, worker, lease_until, unique_key, account, progress,
    last_error, cancel_requested, created_at, started_at, finished_at`;

/**
 * The statement that puts a job into the queue and returns its `id`, to be a statement's only part
 * or one of its CTEs. The same work that waits or runs already is not doubled: its id comes back,
 * and it moves up when it is asked for more urgently than before, to be started at once.
 *
 * ```ts
 * sql`with job as (${newJob(sql, job)})
 *   insert into lotline.audits (job_id) select id from job returning id`
 * ```
 */
export function newJob(sql: Sql, job: NewJob): Statement<{ id: string }> {
  // An update that may change nothing, since "do nothing" would give no id back, and reading the
  // other row in a second statement would find it finished meanwhile.
  return sql<{ id: string }[]>`
    insert into lotline.jobs as job (kind, arguments, priority, unique_key, account)
    values (${job.kind}, ${sql.json(job.args)}, ${job.priority}, ${job.uniqueKey ?? null},
      ${job.account ?? null})
    on conflict (kind, unique_key) where unique_key is not null and state in ('ready', 'running')
    do update set
      priority = least(job.priority, excluded.priority),
      run_at = case
        when excluded.priority < job.priority then least(job.run_at, now()) else job.run_at
      end,
      pushed_at = case when excluded.priority < job.priority then null else job.pushed_at end
    returning id`;
}

/** Puts a job into the queue and gives its id; see {@link newJob}. */
export async function insertJob(sql: Sql, job: NewJob): Promise<string> {
  const [row] = await queryWithDeadline(sql, newJob(sql, job));
  if (row === undefined) throw new Error("an insert into lotline.jobs returned no row");
  return row.id;
}

/** The job with this id, if there is one. */
export async function findJob(sql: Sql, id: string): Promise<Job | undefined> {
  const [job] = await timed(sql)<Job[]>`select ${
    JOB_COLUMNS(sql)
  } from lotline.jobs where id = ${id}`;
  return job;
}

/** The newest jobs, of a state or kind if one is given. */
export async function listJobs(
  sql: Sql,
  { state, kind, limit }: {
    readonly state?: JobState | undefined;
    readonly kind?: string | undefined;
    readonly limit: number;
  },
): Promise<Job[]> {
  return await timed(sql)<Job[]>`
    select ${JOB_COLUMNS(sql)} from lotline.jobs
    where state = coalesce(${state ?? null}, state) and kind = coalesce(${kind ?? null}, kind)
    order by created_at desc, id limit ${limit}`;
}

/**
 * Calls a job off: one that waits is cancelled at once, one that runs is asked to stop. Gives the
 * state that it has now, and nothing for an unknown id; one that is over stays as it is.
 */
export async function cancelJob(sql: Sql, id: string): Promise<JobState | undefined> {
  const [row] = await timed(sql)<{ state: JobState }[]>`
    with called_off as (
      update lotline.jobs set
        cancel_requested = true,
        state = case when state = 'ready' then 'cancelled' else state end,
        finished_at = case when state = 'ready' then now() end
      where id = ${id} and state in ('ready', 'running')
      returning id, state
    )
    select coalesce(called_off.state, job.state) as state
    from lotline.jobs job left join called_off using (id)
    where id = ${id}`;
  return row?.state;
}

/** Which jobs are called off; each that is given narrows it down. */
export interface CancelFilter {
  readonly kind?: string | undefined;
  readonly account?: string | undefined;
  /** They were asked for so long ago, in seconds. */
  readonly olderThanS?: number | undefined;
}

/** Cancelled by one statement at most. */
const CANCEL_BATCH = 1_000;

/** Calls off all jobs that wait or run, as {@link cancelJob} does, and counts them. */
export async function cancelJobs(
  sql: Sql,
  { kind, account, olderThanS = 0 }: CancelFilter,
): Promise<{ readonly cancelled: number; readonly stopping: number }> {
  const counts = { cancelled: 0, stopping: 0 };
  for (let some = CANCEL_BATCH; some === CANCEL_BATCH;) {
    const states = await timed(sql)<{ state: JobState }[]>`
      update lotline.jobs set
        cancel_requested = true,
        state = case when state = 'ready' then 'cancelled' else state end,
        finished_at = case when state = 'ready' then now() end
      where id in (
        select id from lotline.jobs
        where state in ('ready', 'running') and not cancel_requested
          and kind = coalesce(${kind ?? null}, kind)
          and (${account === undefined} or account = ${account ?? null})
          and created_at <= now() - ${olderThanS}::float8 * interval '1 second'
        limit ${CANCEL_BATCH} for update
      )
      returning state`;
    some = states.length;
    const stopping = states.filter(({ state }) => state === "running").length;
    counts.stopping += stopping;
    counts.cancelled += some - stopping;
  }
  return counts;
}

/**
 * Puts a dead or cancelled job back into the queue, with all its attempts and starts. Gives `retried`,
 * or why it isn't: the state of a job that is neither, `unknown`, or `twin`, the same work waits or
 * runs already.
 */
export async function retryJob(
  sql: Sql,
  id: string,
): Promise<"retried" | "unknown" | "twin" | JobState> {
  const retry = timed(sql)<{ state: JobState; retried: boolean }[]>`
    with retried as (
      update lotline.jobs set state = 'ready', attempt = 0, starts = 0, run_at = now(),
        pushed_at = null, cancel_requested = false, progress = null, started_at = null, finished_at = null
      where id = ${id} and state in ('dead', 'cancelled')
      returning id
    )
    select job.state, retried.id is not null as retried
    from lotline.jobs job left join retried using (id)
    where id = ${id}`;
  try {
    const [row] = await retry;
    if (row === undefined) return "unknown";
    return row.retried ? "retried" : row.state;
  } catch (error) {
    if (constraintOf(error) === "jobs_unique") return "twin";
    throw error;
  }
}
