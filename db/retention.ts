import type { Sql } from "./sql.ts";
import { timed } from "./query_deadline.ts";

/*
 * What is stored for how long. Each function deletes a batch, so that no statement holds locks for
 * long, and returns the number of rows. Revoked tokens go when the next one comes (revocations.ts).
 */

/** The most rows that a statement deletes. */
const BATCH = 1_000;

/** Jobs that are done or cancelled for 7 days, or dead for 30. */
export async function deleteOldJobs(sql: Sql): Promise<number> {
  const { count } = await timed(sql)`
    delete from lotline.jobs where id in (
      select id from lotline.jobs
      where state in ('done', 'dead', 'cancelled') and finished_at < now() - interval '7 days'
        and (state <> 'dead' or finished_at < now() - interval '30 days')
      limit ${BATCH} for update skip locked
    )`;
  return count;
}

/** Slots of the schedule that are 30 days old. */
export async function deleteOldCronRuns(sql: Sql): Promise<number> {
  const { count } = await timed(sql)`
    delete from lotline.cron_runs where (name, slot) in (
      select name, slot from lotline.cron_runs where slot < now() - interval '30 days'
      limit ${BATCH}
    )`;
  return count;
}

/** Idempotency keys that are 24 hours old. */
export async function deleteOldIdempotencyKeys(sql: Sql): Promise<number> {
  const { count } = await timed(sql)`
    delete from lotline.idempotency_keys where (caller, key) in (
      select caller, key from lotline.idempotency_keys
      where created_at < now() - interval '24 hours' limit ${BATCH}
    )`;
  return count;
}

/** Traces that are 7 days old. Their chunks are orphans then. */
export async function deleteOldTraces(sql: Sql): Promise<number> {
  const { count } = await timed(sql)`
    delete from lotline.traces where id in (
      select id from lotline.traces where created_at < now() - interval '7 days' limit ${BATCH}
    )`;
  return count;
}

/**
 * Audits that are 90 days old, except the last one that is done: the next is compared with it. Their
 * findings are orphans then.
 */
export async function deleteOldAudits(sql: Sql): Promise<number> {
  const { count } = await timed(sql)`
    with last as (
      select id from lotline.audits where run is not null
      order by finished_at desc nulls last, created_at desc limit 1
    )
    delete from lotline.audits where id in (
      select id from lotline.audits
      where created_at < now() - interval '90 days' and id not in (select id from last)
      limit ${BATCH}
    )`;
  return count;
}

/** A table with the results of attempts, and the one that names the attempts that count. */
export type Selection = { readonly found: "trace_chunks"; readonly owner: "traces" } | {
  readonly found: "audit_findings";
  readonly owner: "audits";
};

/** A page of runs in the order of their ids. */
export interface RunPage {
  /** Runs that are a day old without an owner: they never finished, or their owner was deleted. */
  readonly orphans: readonly string[];
  /** Where the next page begins; null: this is the last page. */
  readonly last: string | null;
}

export async function listOrphanedRuns(
  sql: Sql,
  { found, owner }: Selection,
  after: string,
): Promise<RunPage> {
  // From run to run by the index: reading every row would take long.
  const table = sql(`lotline.${found}`);
  const [page] = await timed(sql)<RunPage[]>`
    with recursive found (run, written_at, number) as (
      (select run, written_at, 1 from ${table} where run > ${after} order by run limit 1)
      union all
      select next.run, next.written_at, found.number + 1
      from found cross join lateral (
        select run, written_at from ${table} where run > found.run order by run limit 1
      ) next
      where found.number < ${BATCH}
    )
    select
      coalesce(jsonb_agg(run) filter (
        where written_at < now() - interval '1 day'
          and not exists (select from ${sql(`lotline.${owner}`)} owner where owner.run = found.run)
          and not exists (
            select from lotline.jobs where state = 'running' and token = found.run
          )
      ), '[]') as orphans,
      (array_agg(run order by run desc))[1] as last
    from found`;
  return page ?? { orphans: [], last: null };
}

export async function deleteFound(sql: Sql, { found }: Selection, run: string): Promise<number> {
  const table = sql(`lotline.${found}`);
  const { count } = await timed(sql)`
    delete from ${table} where ctid = any (array(
      select ctid from ${table} where run = ${run} limit ${BATCH}
    ))`;
  return count;
}
