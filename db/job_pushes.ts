import type { JobPriority } from "./jobs.ts";
import type { Sql } from "./sql.ts";
import { timed } from "./query_deadline.ts";

/*
 * `lotline.jobs.pushed_at`: which ids are on a list in Valkey, as far as PostgreSQL knows. Both errors
 * are harmless: a lost id is pushed again, and nobody can claim a job by an id too many.
 */

/** A list of ids, all of one kind and priority. */
export type JobList = { readonly kind: string; readonly priority: JobPriority };

export type DueJob = JobList & { readonly id: string };

/** How long an id that has left its list counts as being claimed, in ms. */
const LOST_AFTER_MS = 10_000;

/**
 * Takes due jobs that are on no list and marks them as pushed, the oldest first. Concurrent callers
 * get different ones.
 *
 * @param lists with how many more ids each can hold
 */
export async function takeUnpushedJobs(
  sql: Sql,
  lists: readonly (JobList & { readonly room: number })[],
): Promise<readonly DueJob[]> {
  return await timed(sql)<DueJob[]>`
    with due as materialized (
      select one.id
      from jsonb_to_recordset(${sql.json(lists)})
        as list (kind text, priority smallint, room int)
      cross join lateral (
        select id from lotline.jobs
        where state = 'ready' and pushed_at is null and run_at <= now()
          and jobs.kind = list.kind and jobs.priority = list.priority
        order by run_at limit list.room for update skip locked
      ) one
    ),
    pushed as (
      update lotline.jobs set pushed_at = now() where id in (select id from due)
      returning id, kind, priority, run_at
    )
    select id, kind, priority from pushed order by run_at, id`;
}

/** Marks these jobs, or all, as being on no list. */
export async function clearPushes(sql: Sql, ids?: readonly string[]): Promise<void> {
  await timed(sql)`
    update lotline.jobs set pushed_at = null where id in (
      select id from lotline.jobs
      where state = 'ready' and pushed_at is not null
        ${ids === undefined ? sql`` : sql`and id in ${sql(ids)}`}
      for update skip locked
    )`;
}

/**
 * Marks old ids as being on no list when the list is shorter than it should be: the worker that took
 * one off has not claimed its job, and will not.
 *
 * @param lists with how many ids each holds
 */
export async function clearLostPushes(
  sql: Sql,
  lists: readonly (JobList & { readonly length: number })[],
): Promise<void> {
  await timed(sql)`
    with list as (
      select * from jsonb_to_recordset(${sql.json(lists)})
        as list (kind text, priority smallint, length int)
    ),
    short as (
      select kind, priority from list where length < (
        select count(*) from lotline.jobs
        where state = 'ready' and pushed_at is not null
          and jobs.kind = list.kind and jobs.priority = list.priority
      )
    )
    update lotline.jobs set pushed_at = null where id in (
      select jobs.id from lotline.jobs join short using (kind, priority)
      where state = 'ready' and pushed_at < now() - ${LOST_AFTER_MS}::float8 * interval '1 millisecond'
      for update of jobs skip locked
    )`;
}
