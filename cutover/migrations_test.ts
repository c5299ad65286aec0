import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import type { Sql } from "../db/sql.ts";
import { migrate, MigrationError } from "../db/migrate.ts";
import { ALL_SERIES, readSteps, SERVICE_SERIES, type Step, titleOf } from "../db/migrations.ts";
import { freshDatabase, type TestDatabase } from "../testing/database.ts";
import { dump, dumpChanges } from "../testing/dump.ts";
import { openTransaction } from "../testing/open_transaction.ts";

/**
 * The steps of the original single series, 0001 to 0024: the old name of each, its title today, and
 * the start of its file's SHA-256.
 */
const ONE_SERIES: readonly [name: string, title: string, checksum: string][] = [
  ["0001_old_schema", "0001_old_schema", "d228f8be"],
  ["0002_index_link_parents", "0002_index_link_parents", "b80bdfdb"],
  ["0003_index_link_children", "0003_index_link_children", "497d99b7"],
  ["0004_accounts_and_tokens", "0004_accounts_and_tokens", "4f181eb9"],
  ["0005_changes", "0005_changes", "78b1ca98"],
  ["0006_note_changes_of_lots", "0006_note_changes_of_lots", "f317a018"],
  ["0007_note_changes_of_lot_genealogy", "0007_note_changes_of_lot_genealogy", "dc52c9f9"],
  ["0008_note_changes_of_qc_decisions", "0008_note_changes_of_qc_decisions", "5d1acd21"],
  ["0009_jobs", "0009_jobs", "828028de"],
  ["0010_traces", "0010_traces", "8ca9072b"],
  ["0011_audits", "0011_audits", "04815436"],
  ["0012_bound_the_outbox", "0012_bound_the_outbox", "8fe236fb"],
  ["0013_index_dead_jobs", "0013_index_dead_jobs", "3c8b85e3"],
  ["0014_dry_runs", "0014_dry_runs", "96a20a7f"],
  ["0015_routes", "cutover/0001_routes", "5c9a6d21"],
  ["0016_evidence", "cutover/0002_evidence", "13804e53"],
  ["0017_recorded_exchanges", "cutover/0003_recorded_exchanges", "f7a6e5f9"],
  ["0018_idempotency_keys", "0015_idempotency_keys", "31f55d84"],
  ["0019_job_starts", "0016_job_starts", "6829eec8"],
  ["0020_long_passwords", "0017_long_passwords", "485a7884"],
  ["0021_turns_of_accounts", "0018_turns_of_accounts", "c5af6a68"],
  ["0022_bound_stored_results", "0019_bound_stored_results", "ec1e68b8"],
  ["0023_route_clients", "cutover/0004_route_clients", "fd5c41b4"],
  ["0024_route_coverage", "cutover/0005_route_coverage", "9b58f104"],
];

const SPLIT = "journal split into series";
const STEPS = await readSteps(ALL_SERIES);
/** The folders that remain after `rm -r cutover`. */
const WITHOUT_CUTOVER = [
  SERVICE_SERIES,
  { name: "cutover", folder: new URL("../gone/cutover/migrations/", import.meta.url) },
];

Deno.test("the files of the single series are unchanged, under their new names", () => {
  for (const [name, title, checksum] of ONE_SERIES) {
    strictEqual(stepWith(title).checksum.slice(0, 8), checksum, name);
  }
});

for (const number of [0, 13, 15, 17, 18, 24]) {
  Deno.test(`a database at step ${number} of the single series gets each missing step once, and equals a new one`, async () => {
    await using database = await databaseAt(number);
    const { sql, url } = database;
    if (number > 0) await sql`insert into lots (lot_code) values ('KEPT')`;
    if (number >= 15) {
      await sql`insert into lotline.routes (operation, mode, epoch) values ('login', 'shadow', 3)`;
    }
    const has = new Set(ONE_SERIES.slice(0, number).map(([, title]) => title));
    const lacks = STEPS.map(titleOf).filter((title) => !has.has(title));
    deepStrictEqual(await stepsOf(url), [...number > 0 ? [SPLIT] : [], ...lacks]);
    deepStrictEqual(await journal(sql), STEPS.map(titleOf));
    await using fresh = await freshDatabase();
    deepStrictEqual(await differences(fresh, database), { gone: [], added: [] });
    deepStrictEqual(await stepsOf(url), []);
    if (number > 0) strictEqual((await sql`select from lots`).length, 1);
    if (number >= 15) {
      strictEqual((await sql`select from lotline.routes where epoch = 3`).length, 1);
    }
  });
}

Deno.test("without the cutover's folder, a database of the single series is accepted and keeps its tables", async () => {
  await using database = await databaseAt(24);
  const { sql, url } = database;
  const later = STEPS.filter((step) => !ONE_SERIES.some(([, today]) => today === titleOf(step)));
  const laterOf = (name: string) => later.filter(({ series }) => series === name).map(titleOf);
  deepStrictEqual(await stepsOf(url, WITHOUT_CUTOVER), [SPLIT, ...laterOf("service")]);
  const before = await dump(sql);
  deepStrictEqual(await stepsOf(url, WITHOUT_CUTOVER), []);
  deepStrictEqual(dumpChanges(before, await dump(sql)), { gone: [], added: [] });
  deepStrictEqual(await stepsOf(url), laterOf("cutover"));
});

Deno.test("a database in the middle of the cutover's steps is completed by both series in turn", async () => {
  await using database = await databaseAt(16);
  const { sql, url } = database;
  const service = STEPS.filter(({ series }) => series === "service").slice(14).map(titleOf);
  deepStrictEqual(await stepsOf(url, WITHOUT_CUTOVER), [SPLIT, ...service]);
  const cutover = STEPS.filter(({ series }) => series === "cutover").slice(2).map(titleOf);
  deepStrictEqual(await stepsOf(url), cutover);
  await using fresh = await freshDatabase();
  deepStrictEqual(await differences(fresh, database), { gone: [], added: [] });
  strictEqual((await sql`select from lotline.cutover_limits`).length, 1);
});

Deno.test("without the cutover's folder, a database that both series migrated is accepted unchanged", async () => {
  await using database = await freshDatabase();
  const before = await dump(database.sql);
  deepStrictEqual(await stepsOf(database.url, WITHOUT_CUTOVER), []);
  deepStrictEqual(dumpChanges(before, await dump(database.sql)), { gone: [], added: [] });
});

Deno.test("a database that only the service migrated gets the cutover's steps later", async () => {
  await using database = await freshDatabase({ migrated: false });
  const titles = (series: string) => STEPS.filter((step) => step.series === series).map(titleOf);
  deepStrictEqual(await stepsOf(database.url, WITHOUT_CUTOVER), titles("service"));
  deepStrictEqual(await stepsOf(database.url), titles("cutover"));
  await using fresh = await freshDatabase();
  deepStrictEqual(await differences(fresh, database), { gone: [], added: [] });
});

Deno.test("an edited step of the single series is refused, in either series of today", async () => {
  for (
    const [name, title] of [["0018_idempotency_keys", "0015_idempotency_keys"], [
      "0023_route_clients",
      "cutover/0004_route_clients",
    ]] as const
  ) {
    await using database = await databaseAt(24);
    await database.sql`
      update lotline.migrations set checksum = 'another' where name = ${name}`;
    const before = await dump(database.sql);
    await rejects(
      stepsOf(database.url),
      new MigrationError(`${title} was applied, but its file has changed since`),
    );
    deepStrictEqual(dumpChanges(before, await dump(database.sql)), { gone: [], added: [] });
  }
});

Deno.test("a locked journal is split by a later run, and stays whole until then", async () => {
  await using database = await databaseAt(14);
  const { sql, url } = database;
  await using reader = await openTransaction(sql, "select from lotline.migrations");
  const before = await dump(sql);
  await rejects(stepsOf(url), {
    name: "MigrationError",
    message:
      /^Splitting the journal failed and left nothing behind: .* lock timeout: it waited for/,
  });
  deepStrictEqual(dumpChanges(before, await dump(sql)), { gone: [], added: [] });
  await reader.commit();
  strictEqual((await stepsOf(url))[0], SPLIT);
});

Deno.test("a role that may add outcomes may delete old evidence after the upgrade", async () => {
  await using database = await databaseAt(24);
  const { sql, url } = database;
  const [gateway, worker] = ["g", "w"].map((name) =>
    `lotline_${name}_${crypto.randomUUID().slice(0, 8)}`
  );
  await sql.unsafe(`
    create role ${gateway}; create role ${worker};
    grant insert on lotline.route_outcomes to ${gateway};
    grant select, delete on lotline.route_outcomes to ${worker}`).simple();
  try {
    await stepsOf(url);
    const rights = await sql`
      select has_table_privilege(${gateway ?? ""}, relation, 'delete') as gateway,
        has_table_privilege(${worker ?? ""}, relation, 'delete') as worker
      from unnest('{lotline.route_answers,lotline.recordings}'::text[]) as relation`;
    deepStrictEqual([...rights], [1, 2].map(() => ({ gateway: true, worker: false })));
  } finally {
    await sql.unsafe(`drop owned by ${gateway}, ${worker}; drop role ${gateway}, ${worker}`)
      .simple();
  }
});

/** A database as `migrate` of the single series left it, after so many steps. */
async function databaseAt(number: number): Promise<TestDatabase> {
  const database = await freshDatabase({ migrated: false });
  const { sql } = database;
  for (const [index, [name, title]] of ONE_SERIES.slice(0, number).entries()) {
    const { statements, checksum } = stepWith(title);
    await sql.unsafe(statements).simple();
    await sql.unsafe(`
      create schema if not exists lotline;
      create table if not exists lotline.migrations (
        number int primary key,
        name text not null,
        checksum text not null,
        applied_at timestamptz not null default now()
      )`).simple();
    await sql`
      insert into lotline.migrations (number, name, checksum)
      values (${index + 1}, ${name}, ${checksum})`;
  }
  return database;
}

function stepWith(title: string): Step {
  const step = STEPS.find((one) => titleOf(one) === title);
  if (step === undefined) throw new Error(`there is no step ${title}`);
  return step;
}

/** Migrates, and returns the report. */
async function stepsOf(url: string, series = ALL_SERIES): Promise<string[]> {
  const steps: string[] = [];
  await migrate(url, (line) => steps.push(line.replace(/: done in \d+ ms$/, "")), series);
  return steps;
}

async function journal(sql: Sql): Promise<string[]> {
  const rows = await sql<{ series: string; name: string }[]>`
    select series, name from lotline.migrations order by series desc, number`;
  return rows.map(titleOf);
}

/** The differences between the definitions of two databases. */
async function differences(one: TestDatabase, other: TestDatabase) {
  const isDefinition = (line: string) => !/^\w+ row /.test(line);
  const definitions = async ({ sql }: TestDatabase) => (await dump(sql)).filter(isDefinition);
  return dumpChanges(await definitions(one), await definitions(other));
}
