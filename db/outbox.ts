import type { Sql } from "./sql.ts";
import { noteChangedLots } from "./trace_changes.ts";

/** What the outbox holds, as the trace cache needs it. */
export interface OutboxBatch {
  /** The transactions whose changes these are. */
  readonly transactions: readonly string[];
  /** Codes of the lots whose one-hop trace has changed. */
  readonly lotCodes: readonly string[];
  /** More has changed than `lotCodes` says. */
  readonly everything: boolean;
  /** These are more changes than are looked at one by one; the next batch may go on with them. */
  readonly many: boolean;
  /** All changes of transactions before this one are in this batch or earlier ones. */
  readonly horizon: string;
  /** How many changes could not be written down, ever. */
  readonly lost: string;
}

const MAX_CHANGES = 5_000;
const MAX_CODES = 5_000;
/** Lots and codes that the changes of a batch name, again and again the same ones perhaps. */
const MAX_NAMES = 50_000;

// An inserted lot is in no answer yet: a 404 is never kept, and links come after their lots.
const NAMES_LOTS = "source <> 'qc_decisions' and (source, operation) <> ('lots', 'INSERT')";

const HORIZON = "pg_snapshot_xmin(pg_current_snapshot())";

const LOST = `
    (select case when is_called then last_value else 0 end from lotline.lost_changes)::text as lost`;

// Most of the time there is nothing, and finding that out must cost next to nothing.
const READ_WINDOW = `
  select exists (select from lotline.outbox where xid >= $1::xid8) as "isThere",
    ${HORIZON}::text as horizon, ${LOST}`;

// A batch that is cut goes to some change of its last transaction, and those before it are whole.
const READ = `
  with batch as materialized (
    select xid, source, operation, lots, codes from lotline.outbox
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
  answers as (
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
    (select array_agg(lot)::text from answers) as "lotIds",
    coalesce((select json_agg(distinct code) from coded where not is_many), '[]') as codes,
    is_many or exists (select from batch where lots is null and ${NAMES_LOTS})
      or (select count(*) from answers) > ${MAX_CODES} as everything,
    is_many as many,
    case when is_cut then least(${HORIZON}, (select xid from batch order by xid desc limit 1))
      else ${HORIZON} end::text as horizon,
    ${LOST}
  from size`;

// By itself: with both old tables in one statement, it could hold the lock on one and wait for the
// other's while a TRUNCATE of both has them the other way round.
const FIND_CODES = "select lot_code from lots where id = any($1::uuid[])";

/**
 * Reads what was changed, as far as it is committed. An open transaction's changes come with a later
 * batch, whatever else came before: nothing is passed over.
 *
 * @param from the horizon of the last batch that was removed: looking further back would only cost
 * time, since what was removed there is still in PostgreSQL's way; "0" at first
 */
export async function readOutbox(sql: Sql, from: string): Promise<OutboxBatch> {
  const [look] = await sql.unsafe<Window[]>(READ_WINDOW, [from], { prepare: true });
  if (look === undefined) throw new Error("looking at the outbox returned no row");
  const { isThere, ...state } = look;
  if (!isThere) {
    return { transactions: [], lotCodes: [], everything: false, many: false, ...state };
  }
  const [read] = await sql.unsafe<Read[]>(READ, [from], { prepare: true });
  if (read === undefined) throw new Error("reading the outbox returned no row");
  const { lotIds, codes, ...batch } = read;
  if (batch.everything || lotIds === null) return { ...batch, lotCodes: codes };
  const lots = await sql.unsafe<{ lot_code: string }[]>(FIND_CODES, [lotIds], { prepare: true });
  return { ...batch, lotCodes: [...new Set([...codes, ...lots.map((lot) => lot.lot_code)])] };
}

type Window = Pick<OutboxBatch, "horizon" | "lost"> & { readonly isThere: boolean };

interface Read extends Omit<OutboxBatch, "lotCodes"> {
  /** A PostgreSQL array. */
  readonly lotIds: string | null;
  readonly codes: readonly string[];
}

/**
 * Removes the changes of a batch, and notes those that deep traces don't show. Of many changes it
 * removes as many as a batch holds and notes that any lot may have changed, so that it takes a bounded
 * time; what is left of them comes with the next batch.
 */
export async function removeFromOutbox(
  sql: Sql,
  { transactions, many }: Pick<OutboxBatch, "transactions" | "many">,
): Promise<void> {
  const noted = many
    ? sql`(
        select source, operation, null::uuid[] as lots, pg_current_xact_id() as xid
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
 * A transaction of which all that write now are earlier. It begins one: the snapshot's own upper end
 * passes over those that began after the last one that ended.
 */
export async function laterTransaction(sql: Sql): Promise<string> {
  const [row] = await sql<{ id: string }[]>`select pg_current_xact_id()::text as id`;
  if (row === undefined) throw new Error("asking for a transaction returned no row");
  return row.id;
}
