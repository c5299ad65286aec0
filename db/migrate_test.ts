import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { migrationFolder } from "../testing/migration_folder.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import { pretendVersion } from "../testing/old_server.ts";
import { otherAddress } from "../testing/read_only.ts";
import { oldDatabase } from "../testing/old_database.ts";
import type { Sql } from "./sql.ts";
import { migrate, MigrationError } from "./migrate.ts";
import { type Series, SERVICE_SERIES } from "./migrations.ts";

const silent = () => {};

const STEPS = [
  "0001_old_schema",
  "0002_index_link_parents",
  "0003_index_link_children",
  "0004_accounts_and_tokens",
  "0005_changes",
  "0006_note_changes_of_lots",
  "0007_note_changes_of_lot_genealogy",
  "0008_note_changes_of_qc_decisions",
  "0009_jobs",
  "0010_traces",
  "0011_audits",
  "0012_bound_the_outbox",
  "0013_index_dead_jobs",
  "0014_dry_runs",
  "0015_idempotency_keys",
  "0016_job_starts",
  "0017_long_passwords",
  "0018_turns_of_accounts",
  "0019_bound_stored_results",
  "0020_moments_in_a_zone",
  "0021_processes",
  "0022_known_database",
  "0023_what_is_watched",
  "0024_carry_traces",
];
/** How many of them the single series had. */
const SPLIT_AT = 19;

const WRITE_A_LINK = "insert into lot_genealogy default values";

const INDEX = "-- outside a transaction; undo: drop index concurrently if exists broken\n" +
  "create unique index concurrently broken on doubles (n)";

for (const major of [15, 17] as const) {
  Deno.test(`five concurrent runs on an empty database do each step once (PostgreSQL ${major})`, async () => {
    await using database = await freshDatabase({ major, migrated: false });
    deepStrictEqual(await migrateAtOnce(5, database.url), STEPS);
    deepStrictEqual(await journal(database.sql), STEPS);
  });

  Deno.test(`runs that wait for their turn don't delay the first one's index build (PostgreSQL ${major})`, async () => {
    await using database = await oldDatabase({ major });
    await database.sql`insert into lots (lot_code) select 'L' || n from generate_series(1, 5000) n`;
    await database.sql`insert into lot_genealogy (parent_lot_id, child_lot_id)
      select id, id from lots, generate_series(1, 4)`;
    await using writer = await openTransaction(database.sql, WRITE_A_LINK);
    const runs = migrateAtOnce(5, database.url);
    await indexIsWaiting(database.sql);
    await eventually("all runs are there", async () => {
      const sessions = await database.sql`
        select from pg_stat_activity
        where application_name = 'lotline-migrate' and datname = current_database()`;
      return sessions.length === 5;
    });
    await writer.commit();
    deepStrictEqual(await runs, STEPS);
    deepStrictEqual(await journal(database.sql), STEPS);
    deepStrictEqual(await invalidIndexes(database.sql), []);
  });
}

Deno.test("an index build waits for an open transaction without a limit, and writers continue", async () => {
  await using database = await oldDatabase({ major: 17 });
  const { sql } = database;
  await using writer = await openTransaction(sql, WRITE_A_LINK);
  const run = migrateAtOnce(1, database.url);
  await indexIsWaiting(sql);
  // Longer than any request may wait for a lock or a response.
  const until = performance.now() + 2_500;
  for (let n = 0; performance.now() < until; n++) {
    const [lot] = await sql`insert into lots (lot_code) values (${`DURING-${n}`}) returning id`;
    await sql`insert into lot_genealogy (parent_lot_id, child_lot_id)
      values (${lot?.id}, ${lot?.id})`;
    await sql`update lot_genealogy set quantity_used_kg = 1 where parent_lot_id = ${lot?.id}`;
  }
  deepStrictEqual(await invalidIndexes(sql), ["lotline_lot_genealogy_parent"]);
  await writer.commit();
  deepStrictEqual(await run, STEPS);
  deepStrictEqual(await invalidIndexes(sql), []);
});

Deno.test("a step that fails in its middle leaves nothing, and after its correction the next run resumes there", async () => {
  await using folder = await migrationFolder({
    "0001_a.sql": "create table a ()",
    "0002_b.sql": "create table b (); insert into b select; create table c (); select 1 / 0",
    "0003_d.sql": "create table d ()",
  });
  await using database = await freshDatabase({ migrated: false });
  await fails(database.url, folder.url, "0002_b failed and left nothing behind: division by zero");
  deepStrictEqual(await tables(database.sql), ["a"]);
  deepStrictEqual(await journal(database.sql), ["0001_a"]);

  await folder.write("0002_b.sql", "create table b ()");
  deepStrictEqual(await migrateAtOnce(1, database.url, folder.url), ["0002_b", "0003_d"]);
  deepStrictEqual(await tables(database.sql), ["a", "b", "d"]);
});

Deno.test("a step that can't be written in the journal leaves nothing either", async () => {
  await using folder = await migrationFolder({
    "0001_a.sql": "create table a ()",
    "0002_b.sql": "create table b (); alter table lotline.migrations add check (number < 2)",
  });
  await using database = await freshDatabase({ migrated: false });
  await fails(database.url, folder.url, "0002_b failed and left nothing behind: new row");
  deepStrictEqual(await tables(database.sql), ["a"]);
  deepStrictEqual(await journal(database.sql), ["0001_a"]);
});

Deno.test("a failure of the first step leaves the database empty, even without a journal", async () => {
  await using folder = await migrationFolder({
    "0001_a.sql": "create table a (); creat table b ()",
  });
  await using database = await freshDatabase({ migrated: false });
  await fails(database.url, folder.url, "0001_a failed and left nothing behind: syntax error");
  deepStrictEqual(await tables(database.sql), []);
  const [journal] = await database.sql`select to_regnamespace('lotline') as schema`;
  strictEqual(journal?.schema, null);
});

Deno.test("a failed index build leaves no invalid index", async () => {
  await using folder = await migrationFolder({
    "0001_doubles.sql": "create table doubles as select 1 as n from generate_series(1, 2)",
    "0002_unique.sql": INDEX,
  });
  await using database = await freshDatabase({ migrated: false });
  await fails(
    database.url,
    folder.url,
    '0002_unique failed and left nothing behind: could not create unique index "broken"',
  );
  deepStrictEqual(await indexes(database.sql), []);
  deepStrictEqual(await journal(database.sql), ["0001_doubles"]);

  await database.sql`update doubles set n = 2 where ctid = '(0,2)'`;
  deepStrictEqual(await migrateAtOnce(1, database.url, folder.url), ["0002_unique"]);
  deepStrictEqual(await indexes(database.sql), ["broken"]);
  deepStrictEqual(await invalidIndexes(database.sql), []);
});

Deno.test("a run that loses its connection in an index build reports it, and the next run repairs it", async () => {
  await using database = await oldDatabase({ major: 17 });
  const { sql } = database;
  await using writer = await openTransaction(sql, WRITE_A_LINK);
  const run = fails(
    database.url,
    undefined,
    "The connection was lost during 0002_index_link_parents: run it again",
  );
  await indexIsWaiting(sql);
  await sql`select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'lotline-migrate' and datname = current_database()`;
  await run;
  deepStrictEqual(await invalidIndexes(sql), ["lotline_lot_genealogy_parent"]);
  await writer.commit();

  deepStrictEqual(await migrateAtOnce(1, database.url), STEPS.slice(1));
  deepStrictEqual(await invalidIndexes(sql), []);
  deepStrictEqual(await indexes(sql, "lot_genealogy"), [
    "lot_genealogy_pkey",
    "lotline_lot_genealogy_child",
    "lotline_lot_genealogy_parent",
  ]);
});

Deno.test("a run that loses its connection in a transaction leaves nothing", async () => {
  await using folder = await migrationFolder({
    "0001_a.sql": "create table a (); select pg_terminate_backend(pg_backend_pid())",
  });
  await using database = await freshDatabase({ migrated: false });
  await fails(database.url, folder.url, "The connection was lost during 0001_a");
  deepStrictEqual(await tables(database.sql), []);
});

const LOCKED = { "0001_a.sql": "alter table a add column b int" };

Deno.test("a step that would wait long for a lock fails instead of blocking writers", async () => {
  await using folder = await migrationFolder(LOCKED);
  await using database = await freshDatabase({ migrated: false });
  await database.sql`create table a ()`;
  await using _ = await openTransaction(database.sql, "select from a");
  await fails(
    database.url,
    folder.url,
    "0001_a failed and left nothing behind: canceling statement due to lock timeout: " +
      "it waited for connection ",
  );
});

Deno.test("a step whose lock is free a second later succeeds, and blocks no writer until then", async () => {
  await using folder = await migrationFolder(LOCKED);
  await using database = await freshDatabase({ migrated: false });
  const { sql } = database;
  await sql`create table a ()`;
  await using reader = await openTransaction(sql, "select from a");
  const run = migrateAtOnce(1, database.url, folder.url);
  const waited: number[] = [];
  for (const until = performance.now() + 1_200; performance.now() < until;) {
    const began = performance.now();
    await sql`insert into a default values`;
    waited.push(performance.now() - began);
  }
  ok(reader.isOpen, "no writer has waited for the reader");
  await reader.commit();
  deepStrictEqual(await run, ["0001_a"]);
  ok(Math.max(...waited) > 100, "the step must have been waited for");
});

const REFUSED = [
  {
    what: "an applied step whose file was edited",
    change: { "0001_a.sql": "create table a (id int)" },
    says: "0001_a was applied, but its file has changed since",
  },
  {
    what: "an applied step whose file has another name",
    change: { "0001_a.sql": undefined, "0001_z.sql": "create table a ()" },
    says: "0001_a was applied, but its file has changed since",
  },
];

for (const { what, change, says } of REFUSED) {
  Deno.test(`${what} is refused and nothing is done`, async () => {
    await using folder = await migrationFolder({
      "0001_a.sql": "create table a ()",
      "0002_b.sql": "create table b ()",
    });
    await using database = await freshDatabase({ migrated: false });
    await migrate(database.url, silent, seriesIn(folder.url));
    await folder.write("0003_c.sql", "create table c ()");
    for (const [file, statements] of Object.entries(change)) {
      if (statements === undefined) await folder.remove(file);
      else await folder.write(file, statements);
    }
    await fails(database.url, folder.url, says);
    deepStrictEqual(await tables(database.sql), ["a", "b"]);
  });
}

Deno.test("on a database of a later version nothing is done, and its steps are named", async () => {
  await using folder = await migrationFolder({
    "0001_a.sql": "create table a ()",
    "0002_b.sql": "create table b ()",
  });
  await using database = await freshDatabase({ migrated: false });
  await migrate(database.url, silent, seriesIn(folder.url));
  await folder.remove("0002_b.sql");
  const lines: string[] = [];
  await migrate(database.url, (line) => lines.push(line), seriesIn(folder.url));
  deepStrictEqual(lines, ["The database has 0002_b of a later Lotline, which stays"]);
  deepStrictEqual(await tables(database.sql), ["a", "b"]);
});

Deno.test("after the upgrade the single series' journal names the series of each step", async () => {
  await using database = await freshDatabase({ migrated: false });
  const { sql, url } = database;
  await using folder = await migrationFolder(await statementsOf(STEPS.slice(0, SPLIT_AT)));
  await migrateAtOnce(1, url, folder.url);
  // As it was then, with steps of another part in between.
  await sql.unsafe(`
    alter table lotline.migrations drop column series, add primary key (number);
    update lotline.migrations set number = number + 103 where number > 14;
    update lotline.migrations set number = number - 100,
      name = '00' || (number - 100) || substr(name, 5) where number > 100;
    insert into lotline.migrations (number, name, checksum) values
      (15, '0015_routes', 'a'), (16, '0016_evidence', 'b'), (17, '0017_recorded_exchanges', 'c'),
      (23, '0023_route_clients', 'd'), (24, '0024_route_coverage', 'e')`).simple();
  const lines: string[] = [];
  await migrate(url, (line) => lines.push(line.replace(/: done in .*/, "")), seriesIn());
  deepStrictEqual(lines, ["journal split into series", ...STEPS.slice(SPLIT_AT)]);
  deepStrictEqual(await journal(sql), STEPS);
  const others = await sql`
    select number, name from lotline.migrations where series = 'cutover' order by number`;
  deepStrictEqual(others.map(({ number, name }) => `${number} ${name}`), [
    "1 0001_routes",
    "2 0002_evidence",
    "3 0003_recorded_exchanges",
    "4 0004_route_clients",
    "5 0005_route_coverage",
  ]);
});

/** The service's files of these steps. */
async function statementsOf(steps: readonly string[]): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const step of steps) {
    files[`${step}.sql`] = await Deno.readTextFile(new URL(`${step}.sql`, SERVICE_SERIES.folder));
  }
  return files;
}

/** The service's series alone, from the test's own folder if there is one. */
function seriesIn(folder: URL = SERVICE_SERIES.folder): readonly Series[] {
  return [{ ...SERVICE_SERIES, folder }];
}

/** Lines about waiting; how long a run waits depends on the machine. */
const WAITS = /^Waiting for another migration: |^\w+ waits for /;

/** Migrates with several concurrent runs; returns the steps that they reported, of all together. */
async function migrateAtOnce(count: number, url: string, folder?: URL): Promise<string[]> {
  const steps: string[] = [];
  const report = (line: string) => {
    if (WAITS.test(line)) return;
    const [, step] = /^(\w+): done in \d+ ms$/.exec(line) ?? [];
    ok(step, line);
    steps.push(step);
  };
  await Promise.all(Array.from({ length: count }, () => migrate(url, report, seriesIn(folder))));
  return steps;
}

async function fails(url: string, folder: URL | undefined, says: string): Promise<void> {
  await rejects(migrate(url, silent, seriesIn(folder)), (error) => {
    ok(error instanceof MigrationError);
    strictEqual(error.message.slice(0, says.length), says);
    return true;
  });
}

async function indexIsWaiting(sql: Sql): Promise<void> {
  await eventually("an index build waits for a transaction", async () => {
    const waiting = await sql`
      select from pg_stat_progress_create_index
      join pg_stat_activity using (pid, datname)
      where datname = current_database() and wait_event_type = 'Lock'`;
    return waiting.length > 0;
  });
}

async function journal(sql: Sql): Promise<string[]> {
  const rows = await sql<
    { name: string }[]
  >`select name from lotline.migrations where series = 'service' order by number`;
  return rows.map(({ name }) => name);
}

async function tables(sql: Sql): Promise<string[]> {
  const rows = await sql<{ tablename: string }[]>`
    select tablename from pg_tables where schemaname = 'public' order by tablename`;
  return rows.map(({ tablename }) => tablename);
}

async function indexes(sql: Sql, table = "doubles"): Promise<string[]> {
  const rows = await sql<{ indexname: string }[]>`
    select indexname from pg_indexes where tablename = ${table} order by indexname`;
  return rows.map(({ indexname }) => indexname);
}

async function invalidIndexes(sql: Sql): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select indexrelid::regclass::text as name from pg_index
    where not (indisvalid and indisready and indislive)`;
  return rows.map(({ name }) => name);
}

Deno.test("a PostgreSQL that is too old is refused before anything is changed", async () => {
  await using database = await freshDatabase({ migrated: false });
  await pretendVersion(database, 140_011);
  await rejects(migrate(otherAddress(database), silent), {
    name: "MigrationError",
    message: "PostgreSQL is older than version 15: use PostgreSQL 15 or later; nothing was changed",
  });
  deepStrictEqual([...await database.sql`select from pg_namespace where nspname = 'lotline'`], []);
});
