import { oneRow } from "./one_row.ts";
import { timed } from "./query_deadline.ts";
import type { Sql } from "./sql.ts";

/*
 * `lotline.known_database`: whether a database was restored from a backup. Two signs show it. A dump is
 * restored into tables with other numbers. And PostgreSQL's log of changes (WAL) only grows: when it is
 * shorter than it was, the whole server is from an earlier time. How long it was is stored outside the
 * database (cache/wal_position.ts).
 */

/** What is known of a restore of this database. */
export interface KnownDatabase {
  /** Whether its tables, or the old ones alone, were made anew since a worker last looked. */
  readonly isOther: boolean;
  /** When a restore was last noticed, as UTC text; null: never. */
  readonly restoredAt: string | null;
  /** Whether `deno task restored` has run since. */
  readonly isSettled: boolean;
  /** Changes whenever a restore is noticed or settled. */
  readonly version: string;
}

// A user who may not see the cluster's identifier compares the rest.
const IS_OTHER = `(
    (known.database, known.tables) is distinct from (this.database, this.tables)
    or known.cluster <> this.cluster
  )`;

/** Nothing when no worker has looked yet. */
export async function readKnownDatabase(sql: Sql): Promise<KnownDatabase | undefined> {
  const [row] = await timed(sql)<KnownDatabase[]>`
    select coalesce(${sql.unsafe(IS_OTHER)}, false) as "isOther",
      to_char(restored_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC' as "restoredAt",
      restored_at is null or coalesce(settled_at >= restored_at, false) as "isSettled",
      concat(restored_at, ' ', settled_at) as version
    from lotline.known_database known, lotline.this_database() this`;
  return row;
}

/** How far PostgreSQL's log of changes goes. */
export interface WalPosition {
  /** Whose log it is, for a name. */
  readonly of: string;
  /** In bytes, as a decimal number. */
  readonly bytes: string;
}

/** Nothing where PostgreSQL doesn't show it: on a standby, or to this user. */
export async function readWalPosition(sql: Sql): Promise<WalPosition | undefined> {
  try {
    const [row] = await timed(sql)<WalPosition[]>`
      select system_identifier::text as of,
        pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::text as bytes
      from pg_control_system()`;
    return row;
  } catch {
    // What makes the database unusable fails in the statements beside this one, too.
    return undefined;
  }
}

/** Whether this session may write: a standby and a read-only server note nothing. */
export async function isWritable(sql: Sql): Promise<boolean> {
  const rows = await timed(sql)<{ writable: boolean }[]>`
    select current_setting('transaction_read_only') = 'off' as writable`;
  return oneRow(rows).writable;
}

/** Stores which database this is, unless that is stored already. */
export async function storeDatabase(sql: Sql): Promise<void> {
  await timed(sql)`
    insert into lotline.known_database (cluster, database, tables)
    select cluster, database, tables from lotline.this_database()
    on conflict do nothing`;
}

/**
 * Stores that the database was restored, when it is another one than the stored one or it `isCertain`,
 * and repairs what a restore makes wrong, in the same transaction:
 *
 * - Transaction numbers of another server mean nothing here. So all traces are out of date, and what
 *   was noted for them is replaced by: any lot may have changed.
 * - A key of which no row is left was used for a write that is lost: its repetition must store it.
 * - No id of a job is on a list.
 *
 * It reads all idempotency keys, which takes as long as it takes.
 *
 * @param sql a session without timeouts
 * @returns whether it was restored
 */
export async function noteRestore(sql: Sql, isCertain: boolean): Promise<boolean> {
  const rows = await sql<{ restored: boolean }[]>`
    with noted as (
      update lotline.known_database known
      set cluster = this.cluster, database = this.database, tables = this.tables,
        restored_at = clock_timestamp()
      from lotline.this_database() this
      where ${isCertain} or ${sql.unsafe(IS_OTHER)}
      returning true
    ), restored as materialized (select exists (select from noted) as is_so),
    relayed as (delete from lotline.outbox where (select is_so from restored)),
    forgotten as (delete from lotline.changed_lots where (select is_so from restored)),
    changed as (
      insert into lotline.changed_lots (lot_id, xid)
      select null, pg_current_xact_id() from restored where is_so
      on conflict do nothing
    ),
    outdated as (
      update lotline.traces set out_of_date = true
      where run is not null and not out_of_date and (select is_so from restored)
    ),
    lost as (
      delete from lotline.idempotency_keys
      where (select is_so from restored) and effect is null and answer is not null
        and not exists (select from lots where id = (answer ->> 'id')::uuid)
        and not exists (select from qc_decisions where id = (answer ->> 'id')::uuid)
    ),
    unlisted as (
      update lotline.jobs set pushed_at = null
      where state = 'ready' and pushed_at is not null and (select is_so from restored)
    )
    select is_so as restored from restored`;
  return oneRow(rows).restored;
}

/** Stores that what a restore needs of people was done. */
export async function settleRestore(sql: Sql): Promise<void> {
  await timed(sql)`update lotline.known_database set settled_at = clock_timestamp()`;
}
