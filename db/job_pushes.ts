import type { JobPriority } from "./jobs.ts";
import type { Sql } from "./sql.ts";
import { timed } from "./query_deadline.ts";

/*
 * `lotline.jobs.pushed_at`: which ids are on a list in Valkey, as far as PostgreSQL knows. It may
 * be wrong in both directions: an id that is lost is put there again, and one too many is nobody's.
 */

/** A list of ids, all of one kind and priority. */
export type JobList = { readonly kind: string; readonly priority: JobPriority };

/** A job whose id is to be put on its list. */
export type DueJob = JobList & { readonly id: string };

/** How long an id that isn't on its list any more is taken for one that is being claimed, in ms. */
const LOST_AFTER_MS = 10_000;

/**
 * Due jobs that are on no list, marked as if they were by now, those that have waited longest first.
 * Several callers at once get different ones.
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

/** These jobs, or all of them, are on no list. */
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
 * Forgets that old ids were put on a list that is shorter than it would be with all of them: whoever
 * took one off has not claimed its job, and will not.
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
