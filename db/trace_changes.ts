import { onSameWork } from "./jobs.ts";
import type { Sql, Statement } from "./sql.ts";
import { timed } from "./query_deadline.ts";
import { MAX_CAUSES } from "../telemetry/tracing.ts";

/*
 * Which traces are out of date. A trace's snapshot and the change's transaction decide whether it
 * shows a change, not clocks: the relay reads a change a moment after it was made, and a trace that
 * was taken in between does show it.
 *
 * An unfinished trace may or may not show what was committed since the snapshot in its row. So such
 * changes stay stored until it is done.
 */

/** The kind of job that marks traces; there is one at a time. */
export const REFRESH_TRACES_KIND = "refresh_traces";

/** The most changed lots that are stored; beyond them every lot counts as changed. */
export const MAX_CHANGED_LOTS = 50_000;

/**
 * Whether an unfinished trace may not show this `change`. It may stay true for longer, as long as other
 * transactions are open.
 */
// Inline, or as a job. A process that ended in between has sent nobody its trace.
const isNeeded = (sql: Sql) =>
  sql`coalesce(change.xid >= (
    select pg_snapshot_xmin(snapshot) from lotline.traces
    where traces.run is null and (
      traces.job_id is null and traces.created_at > now() - interval '1 minute'
      or exists (
        select from lotline.jobs where jobs.id = traces.job_id and jobs.state in ('ready', 'running')
      )
    ) order by 1 limit 1
  ), false)`;

/** Whether a finished, unmarked trace has the lot of this `change` and doesn't show it. */
const isUnshown = (sql: Sql) =>
  sql`exists (
    select from lotline.trace_chunks
    join lotline.traces on traces.run = trace_chunks.run
    where trace_chunks.lot_ids && array[change.lot_id] and not traces.out_of_date
      and not pg_visible_in_snapshot(change.xid, traces.snapshot)
  ) or change.lot_id is null and exists (
    select from lotline.traces
    where traces.run is not null and not traces.out_of_date
      and not pg_visible_in_snapshot(change.xid, traces.snapshot)
  )`;

/**
 * Stores those of some changes that concern a trace. Part of the statement that removes them from the
 * outbox, so that none is lost in between.
 *
 * @param changes a relation with the columns of the outbox
 */
export function noteChangedLots(sql: Sql, changes: Statement): Statement {
  // A new lot is in no trace: the link that puts it there is a change of its own.
  return sql`
    insert into lotline.changed_lots (lot_id, xid, traceparent)
    select distinct on (change.lot_id, change.xid) change.lot_id, change.xid, change.traceparent
    from (
      select lot_id, xid, traceparent
      from ${changes} changed cross join unnest(coalesce(lots, array[null::uuid])) lot_id
      where source <> 'qc_decisions' and (source, operation) <> ('lots', 'INSERT')
        and (lots is null or lot_id is not null)
    ) change
    where ${isNeeded(sql)} or ${isUnshown(sql)}
    on conflict do nothing`;
}

/**
 * Stores that any lot may have changed at an unknown time: all traces until now are out of date.
 *
 * @param losses how many changes were lost by then; their transactions are over
 */
export async function noteLostChanges(sql: Sql, losses: string): Promise<void> {
  const lost = sql`(
    select 'lots' as source, 'TRUNCATE' as operation, null::uuid[] as lots,
      null::text as traceparent, pg_current_xact_id() as xid
  )`;
  await sql`
    with noted as (update lotline.noted_losses set losses = greatest(losses, ${losses}::bigint))
    ${noteChangedLots(sql, lost)}`;
}

/**
 * Puts the job that marks traces into the queue if it has something to do and isn't there yet. Called
 * repeatedly: changes and traces that are stored while one runs are left to the next.
 */
export async function wakeRefresh(sql: Sql): Promise<void> {
  await sql`
    insert into lotline.jobs (kind, unique_key, traceparent)
    select ${REFRESH_TRACES_KIND}, 'all', (
      select string_agg(traceparent, ',') from (
        select distinct traceparent from lotline.changed_lots
        where traceparent is not null and not applied limit ${MAX_CAUSES}
      ) causes
    )
    where exists (
      select from lotline.changed_lots change
      where not applied or not ${isNeeded(sql)}
    )
    ${onSameWork(sql)} do nothing`;
}

/** Replaces more than `max` changed lots by one row that stands for any lot. */
export async function boundChangedLots(sql: Sql, max: number): Promise<void> {
  // A trace that doesn't show one of them doesn't show this transaction, which is later.
  await timed(sql)`
    with many as (
      select from (select from lotline.changed_lots limit ${max + 1}) first_ones
      having count(*) > ${max}
    ), gone as (
      delete from lotline.changed_lots where exists (select from many)
    )
    insert into lotline.changed_lots (lot_id, xid)
    select null, pg_current_xact_id() from many`;
}

/**
 * Marks all finished traces that don't show a change of one of their lots, and deletes the changes
 * that no unfinished trace may need. One statement, so at one moment: a trace is either done and
 * marked here, or its changes stay. Safe to run at any time, also concurrently.
 */
export async function markOutOfDate(sql: Sql): Promise<void> {
  await timed(sql)`
    with needed as materialized (
      select change.ctid as place, change.applied, ${isNeeded(sql)} as is_needed
      from lotline.changed_lots change
    ), unshown as materialized (
      select traces.id
      from lotline.changed_lots change
      join lotline.trace_chunks on trace_chunks.lot_ids && array[change.lot_id]
      join lotline.traces on traces.run = trace_chunks.run
      where not traces.out_of_date and not pg_visible_in_snapshot(change.xid, traces.snapshot)
      union
      select traces.id
      from lotline.changed_lots change join lotline.traces on change.lot_id is null
      where traces.run is not null and not traces.out_of_date
        and not pg_visible_in_snapshot(change.xid, traces.snapshot)
    ), marked as (
      update lotline.traces set out_of_date = true from unshown where traces.id = unshown.id
    ), forgotten as (
      delete from lotline.changed_lots change using needed
      where change.ctid = needed.place and not is_needed
    )
    update lotline.changed_lots change set applied = true from needed
    where change.ctid = needed.place and is_needed and not needed.applied`;
}
