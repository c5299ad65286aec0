import { onSameWork } from "./jobs.ts";
import type { Sql, Statement } from "./sql.ts";
import { timed } from "./query_deadline.ts";

/** A moment at which an entry of the schedule is due. */
export interface Slot {
  /** The entry's. */
  readonly name: string;
  /** UTC, such as `2026-01-31T02:00:00.000Z`. */
  readonly at: string;
  /** Claimed only if such a job has died since then, and none is done, cancelled, ready or running. */
  readonly died?: ScheduledWork;
}

/** What the jobs of a slot have in common with those that others have requested. */
export interface ScheduledWork {
  readonly kind: string;
  readonly uniqueKey: string;
}

/** The key of the jobs that only the schedule requests. */
export const SCHEDULED_KEY = "scheduled";

/**
 * The first CTE of a statement that takes effect once a slot, however many processes try: `slot` has
 * a row for the first of them only.
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

export async function isSlotClaimed(sql: Sql, { name, at }: Slot): Promise<boolean> {
  const { count } = await timed(sql)`
    select from lotline.cron_runs where name = ${name} and slot = ${at}::text::timestamptz`;
  return count > 0;
}

/** The last slot of each entry that was claimed, by the entry's name. */
export async function listLastSlots(sql: Sql): Promise<Readonly<Record<string, string>>> {
  const rows = await timed(sql)<{ name: string; slot: string }[]>`
    select name, max(slot) as slot from lotline.cron_runs group by name order by name limit 100`;
  return Object.fromEntries(rows.map(({ name, slot }) => [name, slot]));
}

/**
 * Puts a job that nobody waits for into the queue, once a slot, unless one of its kind waits or runs
 * already. Returns whether it did.
 */
export async function insertJobOfSlot(sql: Sql, slot: Slot, kind: string): Promise<boolean> {
  const { count } = await timed(sql)`
    with ${claimSlot(sql, slot)}
    insert into lotline.jobs (kind, unique_key) select ${kind}::text, ${SCHEDULED_KEY} from slot
    ${onSameWork(sql)} do nothing returning id`;
  return count > 0;
}
