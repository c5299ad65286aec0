import type postgres from "postgres";
import { SERVICE_SERIES, type Step } from "./migrations.ts";

// `lotline.migrations` has a row for each step that the database has.

/** The advisory lock of a migration. Any number that nothing else in the database locks. */
export const SCHEMA_LOCK = 5_684_631;

export type AppliedStep = Pick<Step, "series" | "number" | "name" | "checksum">;

export interface Journal {
  /** In their order within each series, under their names of today. */
  readonly steps: readonly AppliedStep[];
  /** Whether it is from the time of a single series: see {@link SPLIT_JOURNAL}. */
  readonly isUnsplit: boolean;
}

// Until there were two series, all steps were numbered together. These were renamed since; their
// content is the same. 0001 to 0014 were the service's and kept their names.
const RENAMED = Object.fromEntries(([
  ["0015_routes", "cutover", "0001_routes"],
  ["0016_evidence", "cutover", "0002_evidence"],
  ["0017_recorded_exchanges", "cutover", "0003_recorded_exchanges"],
  ["0018_idempotency_keys", "service", "0015_idempotency_keys"],
  ["0019_job_starts", "service", "0016_job_starts"],
  ["0020_long_passwords", "service", "0017_long_passwords"],
  ["0021_turns_of_accounts", "service", "0018_turns_of_accounts"],
  ["0022_bound_stored_results", "service", "0019_bound_stored_results"],
  ["0023_route_clients", "cutover", "0004_route_clients"],
  ["0024_route_coverage", "cutover", "0005_route_coverage"],
] as const).map(([before, series, name]) => [
  before,
  { series, number: Number(name.slice(0, 4)), name },
]));

/** Reads the journal; a database without one has no steps. */
export async function readJournal(sql: postgres.Sql): Promise<Journal> {
  const columns = await sql<{ name: string }[]>`
    select attname as name from pg_attribute
    where attrelid = to_regclass('lotline.migrations') and attnum > 0 and not attisdropped`;
  if (columns.length === 0) return { steps: [], isUnsplit: false };
  if (columns.some(({ name }) => name === "series")) {
    const steps = await sql<AppliedStep[]>`
      select series, number, name, checksum from lotline.migrations order by series, number`;
    return { steps, isUnsplit: false };
  }
  const steps = await sql<Omit<AppliedStep, "series">[]>`
    select number, name, checksum from lotline.migrations order by number`;
  return {
    steps: steps.map((step) => ({ series: SERVICE_SERIES.name, ...step, ...RENAMED[step.name] })),
    isUnsplit: true,
  };
}

/** Adds the series of each step to a journal from the time of a single series. */
export const SPLIT_JOURNAL = [
  `alter table lotline.migrations drop constraint migrations_pkey,
    add column series text not null default '${SERVICE_SERIES.name}'`,
  ...Object.entries(RENAMED).map(([before, { series, number, name }]) =>
    `update lotline.migrations set series = '${series}', number = ${number}, name = '${name}'
      where name = '${before}'`
  ),
  `alter table lotline.migrations alter column series drop default,
    add primary key (series, number)`,
].join(";\n");

/** Stores that a step was applied, in the step's transaction if it has one. */
export async function recordStep(
  sql: postgres.Sql,
  { series, number, name, checksum }: Step,
): Promise<void> {
  await sql.unsafe(`
    create schema if not exists lotline;
    create table if not exists lotline.migrations (
      number int not null,
      name text not null,
      checksum text not null,
      applied_at timestamptz not null default now(),
      series text not null,
      primary key (series, number)
    );
    -- Each process reads whether its database is up to date.
    grant select on lotline.migrations to public`);
  await sql`
    insert into lotline.migrations (series, number, name, checksum)
    values (${series}, ${number}, ${name}, ${checksum})`;
}
