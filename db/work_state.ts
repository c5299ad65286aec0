import type { Sql } from "./sql.ts";
import { timed } from "./query_deadline.ts";
import { RELAY_STATE } from "./outbox.ts";
import { oneRow } from "./one_row.ts";

/*
 * The state of the background work of all workers, read for each scrape of /metrics: each statement
 * uses an index or has a limit.
 */

/** The state of the queue. */
export interface QueueState {
  /** Jobs by kind and state, except those that are done or cancelled. */
  readonly counts: readonly {
    readonly kind: string;
    readonly state: "ready" | "running" | "dead";
    readonly jobs: number;
  }[];
  /** For how long the oldest ready job of a kind has been due, in s; 0: none is due. */
  readonly waiting: readonly { readonly kind: string; readonly seconds: number }[];
  readonly expiredLeases: number;
}

/** The state of the outbox and its relay: what each number is, says its gauge in work_gauges.ts. */
export interface ChangesState
  extends Readonly<Record<"rows" | "bytes" | "limit" | "lost" | "relays", number>> {
  /** Null: there is no relay, or it can't be seen. */
  readonly silent: number | null;
}

/** The most changes that are counted. */
export const MAX_ROWS = 10_000;
const MAX_KINDS = 100;
const DEADLINE_MS = 1_000;

export async function readQueueState(sql: Sql): Promise<QueueState> {
  const rows = await timed(sql, DEADLINE_MS)<QueueState[]>`
    with ready as (
      select kind, count(*) as jobs, min(run_at) filter (where run_at <= now()) as due_at
      from lotline.jobs where state = 'ready' group by kind order by kind limit ${MAX_KINDS}
    ), running as (
      select kind, count(*) as jobs, count(*) filter (where lease_until < now()) as expired
      from lotline.jobs where state = 'running' group by kind order by kind limit ${MAX_KINDS}
    ), dead as (
      select kind, count(*) as jobs
      from lotline.jobs where state = 'dead' group by kind order by kind limit ${MAX_KINDS}
    ), counts as (
      select kind, 'ready' as state, jobs from ready
      union all select kind, 'running', jobs from running
      union all select kind, 'dead', jobs from dead
    )
    select
      (select coalesce(jsonb_agg(counts), '[]') from counts) as counts,
      (select coalesce(jsonb_agg(jsonb_build_object('kind', kind,
        'seconds', coalesce(extract(epoch from now() - due_at), 0)::float8)), '[]')
        from ready) as waiting,
      (select coalesce(sum(expired), 0)::int from running) as "expiredLeases"`;
  return oneRow(rows);
}

export async function readChangesState(sql: Sql): Promise<ChangesState> {
  const rows = await timed(sql, DEADLINE_MS)<ChangesState[]>`
    select
      (select count(*)::int from (select from lotline.outbox limit ${MAX_ROWS}) waiting) as rows,
      pg_table_size('lotline.outbox')::float8 as bytes,
      lotline.outbox_limit()::float8 as limit,
      (select case when is_called then last_value else 0 end::float8
        from lotline.lost_changes) as lost,
      relay.*
    from (${sql.unsafe(RELAY_STATE)}) relay`;
  return oneRow(rows);
}

/**
 * How long ago the oldest change was written that waits for a relay, in s; 0: none waits. Null: it isn't
 * known of a change from before `written_at` was stored.
 */
export async function readOldestChange(sql: Sql): Promise<number | null> {
  // The first by the index, whose transaction began first, or soon after.
  const [oldest] = await timed(sql, DEADLINE_MS)<{ seconds: number | null }[]>`
    select extract(epoch from clock_timestamp() - written_at)::float8 as seconds
    from lotline.outbox order by xid limit 1`;
  return oldest === undefined ? 0 : oldest.seconds && Math.max(oldest.seconds, 0);
}
