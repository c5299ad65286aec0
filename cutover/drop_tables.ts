import type { Sql } from "../db/sql.ts";
import { readJournal, SCHEMA_LOCK } from "../db/journal.ts";

/*
 * The end of what `cutover/migrations/` makes: its tables, its functions, and its record of steps.
 * A step that makes something more adds it here; a test compares what is left with a database that
 * never had the cutover.
 */

const TABLES = [
  "routes",
  "kill_switch",
  "route_changes",
  "route_answers",
  "route_outcomes",
  "route_clients",
  "route_coverage",
  "evidence_collectors",
  "differences",
  "cutover_limits",
  "recorded_exchanges",
  "recordings",
];

const DROP = `
  drop table if exists ${TABLES.map((name) => `lotline.${name}`).join(", ")};
  drop aggregate if exists lotline.sum_counts(jsonb);
  drop function if exists lotline.add_counts(jsonb, jsonb);
  delete from lotline.migrations where series = 'cutover'`;

/** One of the cutover's tables. */
export interface StoredTable {
  readonly name: string;
  /** On the disk, with indexes, such as `48 kB`. */
  readonly size: string;
}

/**
 * Keeps `migrate` and other drops away until the transaction ends.
 * @returns false when one of them is at work
 */
export async function lockSchema(sql: Sql): Promise<boolean> {
  const [row] = await sql<{ mine: boolean }[]>`
    select pg_try_advisory_xact_lock(${SCHEMA_LOCK}) as mine`;
  return row?.mine ?? false;
}

/** Whether the journal tells which steps are the cutover's; without, `migrate` has to run first. */
export async function isJournalSplit(sql: Sql): Promise<boolean> {
  return !(await readJournal(sql)).isUnsplit;
}

/** The cutover's tables that are there. */
export async function listTables(sql: Sql): Promise<readonly StoredTable[]> {
  return await sql<StoredTable[]>`
    select 'lotline.' || name as name, pg_size_pretty(pg_total_relation_size(relation)) as size
    from unnest(string_to_array(${TABLES.join(" ")}, ' ')) as name,
      to_regclass('lotline.' || name) as relation
    where relation is not null`;
}

/** Whether a gateway has a connection to this database. */
export async function isGatewayConnected(sql: Sql): Promise<boolean> {
  const rows = await sql`
    select from pg_stat_activity
    where datname = current_database() and application_name like 'lotline-gateway%'`;
  return rows.length > 0;
}

/** Drops it all, in the transaction that the caller has begun. The user must own the tables. */
export async function dropTables(sql: Sql): Promise<void> {
  await sql.unsafe(DROP).simple();
}
