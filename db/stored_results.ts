import type { Sql } from "./sql.ts";
import { queryWithDeadline, timed } from "./query_deadline.ts";

/*
 * What results of traces and audits may take on the disk. The oldest go first, with what they found
 * and with the idempotency keys that name them: a request that comes again is done anew then, and
 * never told that what it began isn't there. Stay: what isn't done, what was finished a moment ago
 * and is about to be fetched, and what nobody has been told of yet.
 *
 * Only results that a client asked for and can ask for again are in these tables. What is a record
 * (of a recall, a drill, a balance) has to have tables of its own.
 */

/** Deleted by one statement at most, in bytes; one result at least. */
const BATCH_BYTES = 100_000_000;
/** Deleted by one statement at most. */
const BATCH_FINDINGS = 20_000;
const BATCH_KEYS = 10_000;

// Clients look again every few seconds (client/progress.ts), and for a minute a trace is shared
// (decision 12): what is deleted here is in no statement that gives it to somebody.
const SETTLED = "now() - interval '2 minutes'";

const isAwaited = (effect: string) => `
  exists (select from lotline.idempotency_keys where effect = ${effect} and answer is null)`;

/** Deletes the oldest results of traces that are more than so many bytes; gives how many, a batch. */
export async function deleteExcessTraces(sql: Sql, maxBytes: number): Promise<number> {
  const [row] = await queryWithDeadline(
    sql,
    sql.unsafe<{ count: number }[]>(
      `
      with excess as materialized (
        select sum(bytes) - $1::text::bigint as bytes from lotline.traces where run is not null
      ), oldest as materialized (
        select id, sum(bytes) over (order by as_of, id) - bytes as bytes_before
        from (
          select id, as_of, bytes from lotline.traces
          where run is not null and as_of < ${SETTLED} and not ${isAwaited("traces.id")}
            and (select bytes from excess) > 0
          order by as_of, id limit 1000
        ) candidate
      ), gone as (
        delete from lotline.traces where id in (
          select id from oldest, excess where bytes_before < least(excess.bytes, ${BATCH_BYTES})
        )
        returning id, run
      ), chunks as (
        delete from lotline.trace_chunks where run in (select run from gone)
      ), keys as (
        delete from lotline.idempotency_keys where effect in (select id from gone)
      )
      select count(*)::int as count from gone`,
      [String(maxBytes)],
      { prepare: true },
    ),
  );
  return row?.count ?? 0;
}

/**
 * Deletes the oldest audits of those that somebody asked for, beyond so many, but for the last one
 * that was done, with which the next is compared; gives how many rows, a batch. The schedule's stay.
 */
export async function deleteExcessAudits(sql: Sql, max: number): Promise<number> {
  const [row] = await queryWithDeadline(
    sql,
    sql.unsafe<{ count: number }[]>(
      `
      with last as materialized (
        select id from lotline.audits where run is not null
        order by finished_at desc nulls last, created_at desc limit 1
      ), oldest as materialized (
        select id, run, job_id from lotline.audits
        where account is not null and finished_at < ${SETTLED}
          and not ${isAwaited("audits.job_id")} and id not in (select id from last)
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
        -- With the last of its findings, so that none is left if this ends in between.
        delete from lotline.audits
        where id in (select id from oldest) and (select count(*) from findings) < ${BATCH_FINDINGS}
        returning job_id
      ), keys as (
        delete from lotline.idempotency_keys where effect in (select job_id from gone)
      )
      select ((select count(*) from findings) + (select count(*) from gone))::int as count`,
      [],
      { prepare: true },
    ),
  );
  return row?.count ?? 0;
}

/**
 * Deletes the oldest idempotency keys of each account that has more than so many; gives how many. A
 * request of such an account that comes again so late is done again.
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
