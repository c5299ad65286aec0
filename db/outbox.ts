import { holdsLock } from "./lock_holders.ts";
import type { Sql } from "./sql.ts";
import { noteChangedLots } from "./trace_changes.ts";
import { oneRow } from "./one_row.ts";
import { MAX_CAUSES } from "../telemetry/tracing.ts";

/** Changes from the outbox, as the trace cache needs them. */
export interface OutboxBatch {
  /** The transactions whose changes these are. */
  readonly transactions: readonly string[];
  /** Codes of the lots whose one-hop trace has changed. */
  readonly lotCodes: readonly string[];
  /** More has changed than `lotCodes` names. */
  readonly everything: boolean;
  /** More changes than are read one by one; the next batch may continue with them. */
  readonly many: boolean;
  /** All changes of transactions before this one are in this batch or earlier ones. */
  readonly horizon: string;
  /** How many changes could never be stored. */
  readonly lost: string;
  /** The requests that made them, as `causes` of a span in telemetry/tracing.ts. */
  readonly traceparent?: string | null;
}

const MAX_CHANGES = 5_000;
const MAX_CODES = 5_000;
/** Lots and codes in the changes of a batch, with repetitions. */
const MAX_NAMES = 50_000;

// An inserted lot is in no cached response: a 404 is never cached, and links come after their lots.
const NAMES_LOTS = "source <> 'qc_decisions' and (source, operation) <> ('lots', 'INSERT')";

const HORIZON = "pg_snapshot_xmin(pg_current_snapshot())";

const LOST = `
    (select case when is_called then last_value else 0 end from lotline.lost_changes)::text as lost`;

// Usually there is nothing, so this check must be cheap.
const READ_WINDOW = `
  select exists (select from lotline.outbox where xid >= $1::xid8) as "isThere",
    ${HORIZON}::text as horizon, ${LOST}`;

// A batch that is cut ends within its last transaction; those before it are whole.
const READ = `
  with batch as materialized (
    select xid, source, operation, lots, codes, traceparent from lotline.outbox
    where xid >= $1::xid8 order by xid limit ${MAX_CHANGES + 1}
  ),
  named as materialized (
    select lot, source from batch, unnest(lots) lot
    where ${NAMES_LOTS} and lot is not null limit ${MAX_NAMES + 1}
  ),
  coded as materialized (select code from batch, unnest(codes) code limit ${MAX_NAMES + 1}),
  size as (
    select changes > ${MAX_CHANGES} as is_cut,
      changes > ${MAX_CHANGES} or names > ${MAX_NAMES} or codes > ${MAX_NAMES} as is_many
    from (select count(*) as changes from batch) batch,
      (select count(*) as names from named) named, (select count(*) as codes from coded) coded
  ),
  touched as (select distinct lot, source from named where not (select is_many from size)),
  changed as (
    select lot from touched
    union
    select link.parent_lot_id from touched join lot_genealogy link on link.child_lot_id = lot
    where source = 'lots' and link.parent_lot_id is not null
    union
    select link.child_lot_id from touched join lot_genealogy link on link.parent_lot_id = lot
    where source = 'lots' and link.child_lot_id is not null
    limit ${MAX_CODES + 1}
  )
  select
    coalesce((select json_agg(distinct xid::text) from batch), '[]') as transactions,
    (select array_agg(lot)::text from changed) as "lotIds",
    coalesce((select json_agg(distinct code) from coded where not is_many), '[]') as codes,
    is_many or exists (select from batch where lots is null and ${NAMES_LOTS})
      or (select count(*) from changed) > ${MAX_CODES} as everything,
    is_many as many,
    case when is_cut then least(${HORIZON}, (select xid from batch order by xid desc limit 1))
      else ${HORIZON} end::text as horizon,
    (select string_agg(traceparent, ',') from (
      select distinct traceparent from batch where traceparent is not null limit ${MAX_CAUSES}
    ) causes) as traceparent,
    ${LOST}
  from size`;

// A statement of its own: one with both old tables could deadlock with a TRUNCATE of both.
const FIND_CODES = "select lot_code from lots where id = any($1::uuid[])";

/**
 * Reads committed changes. Those of an open transaction come with a later batch; none is skipped.
 *
 * @param from the horizon of the last batch that was removed, "0" at first: reading older rows would
 * only cost time, since the removed ones are still in the table
 */
export async function readOutbox(sql: Sql, from: string): Promise<OutboxBatch> {
  type Window = Pick<OutboxBatch, "horizon" | "lost"> & { readonly isThere: boolean };
  const seen = await sql.unsafe<Window[]>(READ_WINDOW, [from], { prepare: true });
  const { isThere, ...state } = oneRow(seen);
  if (!isThere) {
    return { transactions: [], lotCodes: [], everything: false, many: false, ...state };
  }
  const read = await sql.unsafe<Read[]>(READ, [from], { prepare: true });
  const { lotIds, codes, ...batch } = oneRow(read);
  if (batch.everything || lotIds === null) return { ...batch, lotCodes: codes };
  const lots = await sql.unsafe<{ lot_code: string }[]>(FIND_CODES, [lotIds], { prepare: true });
  return { ...batch, lotCodes: [...new Set([...codes, ...lots.map((lot) => lot.lot_code)])] };
}

interface Read extends Omit<OutboxBatch, "lotCodes"> {
  /** A PostgreSQL array. */
  readonly lotIds: string | null;
  readonly codes: readonly string[];
}

/**
 * Removes the changes of a batch and stores those that deep traces don't show. Of many changes it
 * removes as many as a batch holds and stores that any lot may have changed, which bounds its time;
 * the rest comes with the next batch.
 */
export async function removeFromOutbox(
  sql: Sql,
  { transactions, many }: Pick<OutboxBatch, "transactions" | "many">,
): Promise<void> {
  const noted = many
    ? sql`(
        select source, operation, null::uuid[] as lots, null::text as traceparent,
          pg_current_xact_id() as xid
        from removed where ${sql.unsafe(NAMES_LOTS)} limit 1
      )`
    : sql`removed`;
  await sql`
    with removed as (
      delete from lotline.outbox where ctid = any (array(
        select ctid from lotline.outbox where xid = any(${`{${transactions}}`}::xid8[])
        order by xid limit ${MAX_CHANGES + 1}
      )) returning *
    )
    ${noteChangedLots(sql, noted)}`;
}

/**
 * A transaction id that is later than those of all writers until now. It begins a transaction: the
 * snapshot's upper end is earlier than those that began after the last one that ended.
 */
export async function laterTransaction(sql: Sql): Promise<string> {
  return oneRow(await sql<{ id: string }[]>`select pg_current_xact_id()::text as id`).id;
}

/**
 * The advisory lock of the one relay that works, until its connection ends. Any number that nothing
 * else in the database locks.
 */
export const RELAY_LOCK = 5_684_632;

/** Takes the lock if it is free; returns whether this connection has it now. */
export async function tryRelayLock(sql: Sql): Promise<boolean> {
  const [row] = await sql<{ mine: boolean }[]>`select pg_try_advisory_lock(${RELAY_LOCK}) as mine`;
  return row?.mine ?? false;
}

/**
 * `relays`: 1 when a connection to this database has the lock; `silent`: for how long (s) that one has
 * sent nothing, null when there is none or this user may not see it.
 */
export const RELAY_STATE = `
  select count(*)::int as relays,
    max(extract(epoch from clock_timestamp() - activity.state_change))::float8 as silent
  from pg_locks left join pg_stat_activity activity using (pid)
  where ${holdsLock(RELAY_LOCK)}`;
