import { oneRow } from "./one_row.ts";
import type { Sql } from "./sql.ts";

/*
 * Figures for those who watch a plant. Each function is one statement for a session with a statement
 * timeout of its own.
 */

/** Numbers by name. */
type Counts = Readonly<Record<string, number>>;

/** What has last been done for the plant. Moments are seconds since 1970; null: never. */
export interface PlantRecords {
  /** When the newest whole audit ended. */
  readonly auditedAt: number | null;
  /** What it found, by check. */
  readonly findings: Counts;
  /** When a backup was last noted; see docs/backups.md. */
  readonly backedUpAt: number | null;
  /** Whether PostgreSQL archives its log. */
  readonly archives: boolean;
  readonly archivedAt: number | null;
  readonly archiveFailures: number;
  /** The last slots of the schedule, by entry. */
  readonly slots: Counts;
  /** Size of the database. */
  readonly bytes: number;
}

/** The most checks and entries that are read. */
const MAX_NAMES = 100;

export async function readPlantRecords(sql: Sql): Promise<PlantRecords> {
  const rows = await sql<PlantRecords[]>`
    with audit as (
      select finished_at, summary from lotline.audits where run is not null
      order by finished_at desc nulls last, created_at desc limit 1
    ), finding as (
      select kind, found
      from audit, jsonb_to_recordset(summary -> 'findings') as counted (kind text, found float8)
      limit ${MAX_NAMES}::int
    ), slot as (
      select name, max(slot) as at from lotline.cron_runs group by name order by name
      limit ${MAX_NAMES}::int
    )
    select
      (select extract(epoch from finished_at)::float8 from audit) as "auditedAt",
      (select coalesce(jsonb_object_agg(kind, found), '{}') from finding) as findings,
      (select extract(epoch from ended_at)::float8 from lotline.backups) as "backedUpAt",
      current_setting('archive_mode') <> 'off' as archives,
      extract(epoch from last_archived_time)::float8 as "archivedAt",
      failed_count::float8 as "archiveFailures",
      (select coalesce(jsonb_object_agg(name, extract(epoch from at)::float8), '{}') from slot)
        as slots,
      pg_database_size(current_database())::float8 as bytes
    from pg_stat_archiver`;
  return oneRow(rows);
}

/** Counts of rows, by a column's value: `none` without one, `other` for one that has no name here. */
export interface PlantCounts {
  readonly lots: Counts;
  readonly decisions: Counts;
}

/** Counts all lots and QC decisions, for which it reads both tables. */
export async function countPlant(
  sql: Sql,
  { lotTypes, decisions }: Readonly<Record<"lotTypes" | "decisions", readonly string[]>>,
): Promise<PlantCounts> {
  const counts = (table: string, column: string, names: readonly string[]) =>
    sql`(
      select coalesce(jsonb_object_agg(name, rows), '{}') from (
        select case
          when value is null then 'none'
          when value in (select jsonb_array_elements_text(${sql.json([...names])})) then value
          else 'other'
        end as name, sum(rows) as rows
        from (select ${sql(column)} as value, count(*) as rows from ${
      sql(table)
    } group by 1) counted
        group by 1
      ) named
    )`;
  const rows = await sql<PlantCounts[]>`
    select ${counts("lots", "lot_type", lotTypes)} as lots,
      ${counts("qc_decisions", "decision", decisions)} as decisions`;
  return oneRow(rows);
}
