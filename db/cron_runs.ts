import type { Sql, Statement } from "./sql.ts";
import { timed } from "./query_deadline.ts";

/** A moment at which something of the schedule is due. */
export interface Slot {
  /** What is due. */
  readonly name: string;
  /** UTC, such as `2026-01-31T02:00:00.000Z`. */
  readonly at: string;
  /** Only if the last such job since then is dead, and none was done or called off or is waiting. */
  readonly died?: ScheduledWork;
}

/** What the jobs of a slot have in common, also those that somebody else has asked for. */
export interface ScheduledWork {
  readonly kind: string;
  readonly uniqueKey: string;
}

/** The key of the jobs that the schedule alone asks for. */
export const SCHEDULED_KEY = "scheduled";

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
export function claimSlot(sql: Sql, { name, at, died }: Slot): Statement {
  return sql`slot as (
    insert into lotline.cron_runs (name, slot) select ${name}::text, ${at}::text::timestamptz
    ${died === undefined ? sql`` : sql`where ${hasDied(sql, died, at)}`}
    on conflict do nothing
    returning name, slot
  )`;
}

const hasDied = (sql: Sql, { kind, uniqueKey }: ScheduledWork, at: string) =>
  sql`exists (
    select from lotline.jobs
    where state = 'dead' and kind = ${kind} and unique_key = ${uniqueKey}
      and finished_at >= ${at}::text::timestamptz
  ) and not exists (
    select from lotline.jobs where kind = ${kind} and unique_key = ${uniqueKey} and (
      state in ('ready', 'running')
      or state in ('done', 'cancelled') and finished_at >= ${at}::text::timestamptz
    )
  )`;

/** Whether somebody has claimed a slot. */
export async function isSlotClaimed(sql: Sql, { name, at }: Slot): Promise<boolean> {
  const { count } = await timed(
    sql,
  )`select from lotline.cron_runs where name = ${name} and slot = ${at}::text::timestamptz`;
  return count > 0;
}

/**
 * Puts a job that nobody waits for into the queue, once a slot, unless one of its kind waits or
 * runs there already. Gives whether it did.
 */
export async function insertJobOfSlot(sql: Sql, slot: Slot, kind: string): Promise<boolean> {
  const { count } = await timed(sql)`
    with ${claimSlot(sql, slot)}
    insert into lotline.jobs (kind, unique_key) select ${kind}::text, ${SCHEDULED_KEY} from slot
    on conflict (kind, unique_key) where unique_key is not null and state in ('ready', 'running')
    do nothing returning id`;
  return count > 0;
}
