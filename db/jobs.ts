import type postgres from "postgres";
import type { Sql, Statement } from "./sql.ts";
import { constraintOf } from "./pg_errors.ts";
import { timed } from "./query_deadline.ts";
import { activeTraceparent } from "../telemetry/tracing.ts";

/*
 * `lotline.jobs` for those who request work. What workers do with a job is in job_attempts.ts.
 */

/** `dead`: given up after its last attempt. */
export type JobState = "ready" | "running" | "done" | "dead" | "cancelled";

/** 0: a person waits for it; 1: nobody does. */
export type JobPriority = 0 | 1;

export interface NewJob {
  readonly kind: string;
  readonly args: Readonly<Record<string, postgres.JSONValue>>;
  readonly priority: JobPriority;
  /** Of a kind and key there is one ready or running job at a time. */
  readonly uniqueKey?: string;
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
  /** The number of attempts, including a running one. */
  readonly attempt: number;
  /** Attempts, and starts that count as none: MAX_STARTS at most. */
  readonly starts: number;
  readonly worker: string | null;
  readonly lease_until: string | null;
  readonly unique_key: string | null;
  /** An account's id, or in `AUTH_MODE=legacy` an address. */
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

/** The conflict of a new job with one of the same kind and key that waits or runs. */
export const onSameWork = (sql: Sql) =>
  sql`on conflict (kind, unique_key) where unique_key is not null and state in ('ready', 'running')`;

/**
 * The statement, or CTE, that puts a job into the queue and returns its `id`. If the same work waits or
 * runs already, it returns that job's id; a more urgent request moves that job up to start at once.
 */
export function newJob(sql: Sql, job: NewJob): Statement<{ id: string }> {
  // An update that may change nothing: "do nothing" returns no id, and a second statement may find the
  // other job finished.
  return sql<{ id: string }[]>`
    insert into lotline.jobs as job (
      kind, arguments, priority, unique_key, account, traceparent
    )
    values (${job.kind}, ${sql.json(job.args)}, ${job.priority}, ${job.uniqueKey ?? null},
      ${job.account ?? null}, ${activeTraceparent() ?? null})
    ${onSameWork(sql)} do update set
      priority = least(job.priority, excluded.priority),
      run_at = case
        when excluded.priority < job.priority then least(job.run_at, now()) else job.run_at
      end,
      pushed_at = case when excluded.priority < job.priority then null else job.pushed_at end
    returning id`;
}

export async function findJob(sql: Sql, id: string): Promise<Job | undefined> {
  const [job] = await timed(sql)<Job[]>`
    select ${JOB_COLUMNS(sql)} from lotline.jobs where id = ${id}`;
  return job;
}

/** The newest jobs, by state or kind if given. */
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

const cancel = (sql: Sql) =>
  sql`update lotline.jobs set
    cancel_requested = true,
    state = case when state = 'ready' then 'cancelled' else state end,
    finished_at = case when state = 'ready' then now() end`;

/**
 * Cancels a waiting job at once and requests a running one to stop; a finished one stays as it is.
 * Returns its state, or nothing for an unknown id.
 */
export async function cancelJob(sql: Sql, id: string): Promise<JobState | undefined> {
  const [row] = await timed(sql)<{ state: JobState }[]>`
    with cancelled as (
      ${cancel(sql)} where id = ${id} and state in ('ready', 'running') returning id, state
    )
    select coalesce(cancelled.state, job.state) as state
    from lotline.jobs job left join cancelled using (id)
    where id = ${id}`;
  return row?.state;
}

/** Cancelled by one statement at most. */
const CANCEL_BATCH = 1_000;

/**
 * Cancels all jobs that wait or run, as {@link cancelJob} does, and counts them.
 *
 * @param olderThanS by when they were created
 */
export async function cancelJobs(
  sql: Sql,
  { kind, account, olderThanS = 0 }:
    & Readonly<Partial<Record<"kind" | "account", string | undefined>>>
    & { readonly olderThanS?: number | undefined },
): Promise<{ readonly cancelled: number; readonly stopping: number }> {
  const counts = { cancelled: 0, stopping: 0 };
  for (let some = CANCEL_BATCH; some === CANCEL_BATCH;) {
    const states = await timed(sql)<{ state: JobState }[]>`
      ${cancel(sql)} where id in (
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
 * Puts a dead or cancelled job back into the queue, with all its attempts. Returns `retried`, or why
 * not: the state of a job that is neither, `unknown`, or `twin`, the same work waits or runs already.
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

/**
 * Puts all dead jobs of a kind back into the queue, the oldest first, as {@link retryJob} does. A twin
 * is one whose work waits or runs already: it stays dead.
 */
export async function retryDeadJobs(
  sql: Sql,
  kind: string,
): Promise<{ readonly retried: number; readonly twins: number }> {
  const counts = { retried: 0, twins: 0 };
  const dead = await timed(sql)<{ id: string }[]>`
    select id from lotline.jobs where state = 'dead' and kind = ${kind} order by created_at, id`;
  // One at a time: a twin fails its statement.
  for (const { id } of dead) {
    const result = await retryJob(sql, id);
    if (result === "retried") counts.retried++;
    else if (result === "twin") counts.twins++;
  }
  return counts;
}
