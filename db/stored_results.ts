import { oneRow } from "./one_row.ts";
import type { Sql, Statement } from "./sql.ts";
import { timed } from "./query_deadline.ts";

/*
 * Bounds on stored results of traces and audits. The oldest are deleted first, with their idempotency
 * keys: a repeated request is then executed again. Unfinished results stay, and so do those that are
 * about to be fetched or whose id was not sent yet.
 *
 * These tables hold only what a client can request again. A record (of a recall, a drill, a balance)
 * needs tables of its own.
 */

/** Deleted by one statement at most, but at least one result. */
const BATCH_BYTES = 100_000_000;
const BATCH_FINDINGS = 20_000;
const BATCH_KEYS = 10_000;

// Clients poll every few seconds (client/progress.ts), and a trace is shared for a minute
// (decision 12).
const settled = (sql: Sql) => sql`now() - interval '2 minutes'`;

const isAwaited = (sql: Sql, effect: Statement) =>
  sql`exists (select from lotline.idempotency_keys where effect = ${effect} and answer is null)`;

/** Deletes a batch of the oldest traces beyond so many bytes; returns how many. */
export async function deleteExcessTraces(sql: Sql, maxBytes: number): Promise<number> {
  const { count } = await timed(sql)`
    with excess as materialized (
      select sum(bytes) - ${maxBytes}::text::bigint as bytes
      from lotline.traces where run is not null
    ), oldest as materialized (
      select id, sum(bytes) over (order by as_of, id) - bytes as bytes_before
      from (
        select id, as_of, bytes from lotline.traces
        where run is not null and as_of < ${settled(sql)}
          and not ${isAwaited(sql, sql`traces.id`)} and (select bytes from excess) > 0
        order by as_of, id limit 1000
      ) candidate
    ), gone as (
      delete from lotline.traces where id in (
        select id from oldest, excess
        where bytes_before < least(excess.bytes, ${BATCH_BYTES}::int)
      )
      returning id, run
    ), chunks as (
      delete from lotline.trace_chunks where run in (select run from gone)
    ), keys as (
      delete from lotline.idempotency_keys where effect in (select id from gone)
    )
    select from gone`;
  return count;
}

/**
 * Deletes a batch of the oldest requested audits beyond so many, except the last one that is done:
 * the next is compared with it. Scheduled ones stay. Returns how many rows.
 */
export async function deleteExcessAudits(sql: Sql, max: number): Promise<number> {
  const rows = await timed(sql)<{ count: number }[]>`
    with last as materialized (
      select id from lotline.audits where run is not null
      order by finished_at desc nulls last, created_at desc limit 1
    ), oldest as materialized (
      select id, run, job_id from lotline.audits
      where account is not null and finished_at < ${settled(sql)}
        and not ${isAwaited(sql, sql`audits.job_id`)} and id not in (select id from last)
        and created_at < (
          select created_at from lotline.audits where account is not null
          order by created_at desc offset ${max - 1} limit 1
        )
      order by created_at limit 1
    ), findings as (
      delete from lotline.audit_findings where ctid = any (array(
        select ctid from lotline.audit_findings where run in (select run from oldest)
        limit ${BATCH_FINDINGS}
      )) returning 1
    ), gone as (
      -- With its last findings, so that none is left if this ends in between.
      delete from lotline.audits
      where id in (select id from oldest) and (select count(*) from findings) < ${BATCH_FINDINGS}
      returning job_id
    ), keys as (
      delete from lotline.idempotency_keys where effect in (select job_id from gone)
    )
    select ((select count(*) from findings) + (select count(*) from gone))::int as count`;
  return oneRow(rows).count;
}

/**
 * Deletes a batch of the oldest idempotency keys of each account beyond so many; returns how many. A
 * request of such an account that is repeated so late is executed again.
 */
export async function deleteExcessKeys(sql: Sql, max: number): Promise<number> {
  const { count } = await timed(sql)`
    delete from lotline.idempotency_keys where ctid = any (array(
      select excess.ctid from (
        select account from lotline.idempotency_keys where account is not null
        group by account having count(*) > ${max}
      ) busy cross join lateral (
        select ctid from lotline.idempotency_keys
        where account = busy.account order by created_at desc offset ${max} limit ${BATCH_KEYS}
      ) excess
      limit ${BATCH_KEYS}
    ))`;
  return count;
}
