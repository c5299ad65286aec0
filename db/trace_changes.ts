import type { Sql, Statement } from "./sql.ts";
import { queryWithDeadline, timed } from "./query_deadline.ts";

/*
 * Which traces don't show what has changed since. Whether a trace shows a change is asked of its
 * snapshot and the change's transaction, not of clocks: the relay hears of a change a moment after it
 * was made, and a trace that was taken in between does show it.
 *
 * A trace that isn't done yet was asked for at a moment that its row names; it may or may not show
 * what was committed since. So such changes are kept until it is done.
 */

/** The kind of job that marks traces; it has no arguments, and there is one at a time. */
export const REFRESH_TRACES_KIND = "refresh_traces";

/** So many changed lots are kept; beyond them every lot counts as changed. */
export const MAX_CHANGED_LOTS = 50_000;

// At once, or as a job; a process that ended in between has told nobody of its trace.
const IS_UNFINISHED = `
  traces.run is null and (
    traces.job_id is null and traces.created_at > now() - interval '1 minute'
    or exists (
      select from lotline.jobs where jobs.id = traces.job_id and jobs.state in ('ready', 'running')
    )
  )`;

/**
 * Some trace may still be taken at a moment before this change. Never false where that is so; it may
 * be true for longer, as long as other transactions are.
 */
const isNeeded = (change: string) => `
  coalesce(${change}.xid >= (
    select pg_snapshot_xmin(snapshot) from lotline.traces where ${IS_UNFINISHED} order by 1 limit 1
  ), false)`;

/** A finished trace, not marked yet, that has the lot of this change and doesn't show it. */
const isUnshown = (change: string) => `
  exists (
    select from lotline.trace_chunks
    join lotline.traces on traces.run = trace_chunks.run
    where trace_chunks.lot_ids && array[${change}.lot_id] and not traces.out_of_date
      and not pg_visible_in_snapshot(${change}.xid, traces.snapshot)
  ) or ${change}.lot_id is null and exists (
    select from lotline.traces
    where traces.run is not null and not traces.out_of_date
      and not pg_visible_in_snapshot(${change}.xid, traces.snapshot)
  )`;

/**
 * Notes those of some changes that concern a trace; to be part of the statement that takes them out
 * of the outbox, so that none is lost in between:
 *
 * ```ts
 * sql`with removed as (delete from lotline.outbox where … returning *)
 *   ${noteChangedLots(sql, sql`removed`)}`
 * ```
 *
 * @param changes a relation with the columns of the outbox
 */
export function noteChangedLots(sql: Sql, changes: Statement): Statement {
  // A lot that is new is in no trace: the link that puts it there is a change of its own.
  return sql`
    insert into lotline.changed_lots (lot_id, xid)
    select distinct change.lot_id, change.xid from (
      select lot_id, xid
      from ${changes} changed cross join unnest(coalesce(lots, array[null::uuid])) lot_id
      where source <> 'qc_decisions' and (source, operation) <> ('lots', 'INSERT')
        and (lots is null or lot_id is not null)
    ) change
    where ${sql.unsafe(isNeeded("change"))} or ${sql.unsafe(isUnshown("change"))}
    on conflict do nothing`;
}

/**
 * Notes that any lot may have changed, at a time that isn't known: no trace that was taken before
 * shows it.
 *
 * @param losses how many changes were lost by then; the transactions of all of them are over
 */
export async function noteLostChanges(sql: Sql, losses: string): Promise<void> {
  const lost = sql`(
    select 'lots' as source, 'TRUNCATE' as operation, null::uuid[] as lots,
      pg_current_xact_id() as xid
  )`;
  await sql`
    with noted as (update lotline.noted_losses set losses = greatest(losses, ${losses}::bigint))
    ${noteChangedLots(sql, lost)}`;
}

/**
 * Puts the job that marks traces into the queue when it has something to do and isn't there yet. To
 * be tried again and again: what is noted while one runs is for the next, and so is a trace that is
 * done meanwhile.
 */
export async function wakeRefresh(sql: Sql): Promise<void> {
  await sql`
    insert into lotline.jobs (kind, unique_key)
    select ${REFRESH_TRACES_KIND}, 'all'
    where exists (
      select from lotline.changed_lots change
      where not applied or not ${sql.unsafe(isNeeded("change"))}
    )
    on conflict (kind, unique_key)
      where unique_key is not null and state in ('ready', 'running') do nothing`;
}

/** Replaces changed lots that are too many to be kept by one row that stands for any lot. */
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
 * Marks all finished traces that have a lot whose change they don't show, and forgets the changes
 * that no unfinished trace may need. In one statement, and so at one moment: a trace is either done
 * and marked here, or its changes stay. Safe to run at any time, also twice at once.
 */
export async function markOutOfDate(sql: Sql): Promise<void> {
  await queryWithDeadline(
    sql,
    sql.unsafe(
      `
      with needed as materialized (
        select change.ctid as place, change.applied, ${isNeeded("change")} as is_needed
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
      where change.ctid = needed.place and is_needed and not needed.applied`,
      [],
      { prepare: true },
    ),
  );
}
