import { oneRow } from "./one_row.ts";
import type { Sql } from "./sql.ts";
import { timed } from "./query_deadline.ts";

/*
 * What is stored for how long. Each function deletes a batch, so that no statement holds locks for
 * long, and returns the number of rows. Revoked tokens go when the next one comes (revocations.ts).
 */

/** The most rows that a statement deletes. */
const BATCH = 1_000;

/** Which rows are expired, by table. */
const EXPIRED = {
  jobs: `state in ('done', 'dead', 'cancelled') and finished_at < now() - interval '7 days'
    and (state <> 'dead' or finished_at < now() - interval '30 days')`,
  cron_runs: "slot < now() - interval '30 days'",
  idempotency_keys: "created_at < now() - interval '24 hours'",
  traces: "created_at < now() - interval '7 days'",
  // Not the last one that is done: the next is compared with it.
  audits: `created_at < now() - interval '90 days' and id is distinct from (
      select id from lotline.audits where run is not null
      order by finished_at desc nulls last, created_at desc limit 1
    )`,
} as const;

export type ExpiringTable = keyof typeof EXPIRED;

export const EXPIRING_TABLES = Object.keys(EXPIRED) as ExpiringTable[];

export async function deleteExpired(sql: Sql, name: ExpiringTable): Promise<number> {
  const table = sql(`lotline.${name}`);
  // A dead job may be retried meanwhile; the other rows stay expired.
  const lock = name === "jobs" ? sql`for update skip locked` : sql``;
  const { count } = await timed(sql)`
    delete from ${table} where ctid = any (array(
      select ctid from ${table} where ${sql.unsafe(EXPIRED[name])}
      limit ${BATCH} ${lock}
    ))`;
  return count;
}

/** The tables with the results of attempts, and those that name the attempts that count. */
export const RESULT_TABLES = { trace_chunks: "traces", audit_findings: "audits" } as const;

export type ResultTable = keyof typeof RESULT_TABLES;

/** A page of runs in the order of their ids. */
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
  const table = sql(`lotline.${name}`);
  const { count } = await timed(sql)`
    delete from ${table} where ctid = any (array(
      select ctid from ${table} where run in (
        select unnest(${`{${runs}}`}::text::uuid[])
      ) limit ${BATCH}
    ))`;
  return count;
}
