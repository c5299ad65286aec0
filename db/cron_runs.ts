import type { Sql, Statement } from "./connect.ts";
import { inTime } from "./in_time.ts";

/** A moment at which something of the schedule is due. */
export interface Slot {
  /** What is due. */
  readonly name: string;
  /** UTC, such as `2026-01-31T02:00:00.000Z`. */
  readonly at: string;
}

/**
 * The first CTE of a statement that is to happen once a slot, however many processes try: `slot` has
 * a row for the first of them alone.
 *
 * ```ts
 * sql`with ${claimSlot(sql, slot)},
 *   job as (insert into lotline.jobs (kind) select 'audit_genealogy' from slot returning id)
 *   insert into lotline.audits (job_id) select id from job`
 * ```
 */
export function claimSlot(sql: Sql, { name, at }: Slot): Statement {
  return sql`slot as (
    insert into lotline.cron_runs (name, slot) values (${name}, ${at}) on conflict do nothing
    returning name, slot
  )`;
}

/**
 * Puts a job that nobody waits for into the queue, once a slot, unless one of its kind waits or
 * runs there already.
 */
export async function insertJobOfSlot(sql: Sql, slot: Slot, kind: string): Promise<void> {
  await inTime(
    sql,
    sql`
      with ${claimSlot(sql, slot)}
      insert into lotline.jobs (kind, unique_key) select ${kind}::text, 'scheduled' from slot
      on conflict (kind, unique_key) where unique_key is not null and state in ('ready', 'running')
      do nothing`,
  );
}
