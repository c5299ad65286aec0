import { oneRow } from "./one_row.ts";
import type { Sql, Statement } from "./sql.ts";
import { timed } from "./query_deadline.ts";

/*
 * What is stored for how long. Each function deletes a batch, so that no statement holds locks for
 * long, and returns the number of rows. Revoked tokens go when the next one comes (revocations.ts).
 */

/** The most rows that a statement deletes. */
const BATCH = 1_000;

/** The last audit that is done: the next one is compared with it. */
const LAST_AUDIT = `
  select id from lotline.audits where run is not null
  order by finished_at desc nulls last, created_at desc limit 1`;

/** Which rows are expired, by table. */
const EXPIRED = {
  jobs: `state in ('done', 'dead', 'cancelled') and finished_at < now() - interval '7 days'
    and (state <> 'dead' or finished_at < now() - interval '30 days')`,
  cron_runs: "slot < now() - interval '30 days'",
  idempotency_keys: "created_at < now() - interval '24 hours'",
  processes: "seen_at < now() - interval '1 hour'",
  traces: "created_at < now() - interval '7 days'",
  audits: `created_at < now() - interval '90 days' and id is distinct from (${LAST_AUDIT})`,
} as const;

export type ExpiringTable = keyof typeof EXPIRED;

export const EXPIRING_TABLES = Object.keys(EXPIRED) as ExpiringTable[];

export async function deleteExpired(sql: Sql, name: ExpiringTable): Promise<number> {
  // A dead job may be retried meanwhile; the other rows stay expired.
  const lock = name === "jobs" ? sql`for update skip locked` : sql``;
  return await deleteBatch(sql, name, sql`${sql.unsafe(EXPIRED[name])} limit ${BATCH} ${lock}`);
}

async function deleteBatch(sql: Sql, name: string, condition: Statement): Promise<number> {
  const table = sql(`lotline.${name}`);
  const { count } = await timed(sql)`
    delete from ${table} where ctid = any (array(select ctid from ${table} where ${condition}))`;
  return count;
}

/** The tables with the results of attempts, and those that name the attempts that count. */
export const RESULT_TABLES = { trace_chunks: "traces", audit_findings: "audits" } as const;

export type ResultTable = keyof typeof RESULT_TABLES;

interface RunPage {
  /** Runs that are a day old without an owner: they never finished, or their owner was deleted. */
  readonly orphans: readonly string[];
  /** Where the next page begins; null: this is the last page. */
  readonly last: string | null;
}

export async function listOrphanedRuns(
  sql: Sql,
  name: ResultTable,
  after: string,
): Promise<RunPage> {
  // From run to run by the index: reading every row would take long.
  const table = sql(`lotline.${name}`);
  const owners = sql(`lotline.${RESULT_TABLES[name]}`);
  return oneRow(
    await timed(sql)<RunPage[]>`
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
          and not exists (select from ${owners} owner where owner.run = found.run)
          and not exists (
            select from lotline.jobs where state = 'running' and token = found.run
          )
      ), '[]') as orphans,
      (array_agg(run order by run desc))[1] as last
    from found`,
  );
}

/** Deletes results of these runs. */
export async function deleteResults(
  sql: Sql,
  name: ResultTable,
  runs: readonly string[],
): Promise<number> {
  const ofRuns = sql`run in (select unnest(${`{${runs}}`}::text::uuid[])) limit ${BATCH}`;
  return await deleteBatch(sql, name, ofRuns);
}

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
 * Deletes a batch of the oldest requested audits beyond so many, except {@link LAST_AUDIT}. Scheduled
 * ones stay. Returns how many rows.
 */
export async function deleteExcessAudits(sql: Sql, max: number): Promise<number> {
  const rows = await timed(sql)<{ count: number }[]>`
    with oldest as materialized (
      select id, run, job_id from lotline.audits
      where account is not null and finished_at < ${settled(sql)}
        and not ${isAwaited(sql, sql`audits.job_id`)} 
        and id is distinct from (${sql.unsafe(LAST_AUDIT)})
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
