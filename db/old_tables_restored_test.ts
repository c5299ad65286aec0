import { deepStrictEqual, match, rejects, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { loadSeed, resetToSeed } from "../dev/seed.ts";
import { startApi } from "../testing/api.ts";
import { about, examine } from "../testing/doctor.ts";
import { eventually } from "../testing/eventually.ts";
import { freshDatabase } from "../testing/database.ts";
import { runPgProgram } from "../testing/pg_programs.ts";
import { taskOutput } from "../testing/task_output.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { startWorker } from "../testing/worker.ts";
import { migrate } from "./migrate.ts";
import type { Sql } from "./sql.ts";

// A backup of the old tables alone, as the old server's operators have made it all along.

const OLD_TABLES = ["--table=public.*", "--table=auth.users"];

const triggers = async (sql: Sql) =>
  (await sql`select from pg_trigger where tgname like 'lotline_note_%' and tgenabled = 'O'`).length;

for (const major of [15, 17] as const) {
  Deno.test(`old tables from before Lotline come back without triggers: it is noticed and repaired (PostgreSQL ${major})`, async () => {
    await using folder = await temporaryFolder();
    await using database = await freshDatabase({ major, migrated: false });
    const { url, sql } = database;
    // The old server's tables, before Lotline.
    await migrate(url, () => {});
    await sql`drop schema lotline cascade`;
    await sql`drop index lotline_lot_genealogy_parent, lotline_lot_genealogy_child`;
    await resetToSeed(sql, await loadSeed());
    const dump = join(folder.path, "old.dump");
    await runPgProgram(major, "pg_dump", [
      "--format=custom",
      `--file=${dump}`,
      ...OLD_TABLES,
      url,
    ]);
    await migrate(url, () => {});
    await using api = await startApi({ databaseUrl: url });
    await using worker = await startWorker({ databaseUrl: url });
    const key = { "idempotency-key": "lost" };
    const store = () => api.post("/api/lots", { lot_code: "LOST" }, key);
    strictEqual((await store()).status, 201);
    await eventually(
      "the worker has looked",
      async () => (await sql`select from lotline.known_database`).length === 1,
    );

    await runPgProgram(major, "pg_restore", [
      "--clean",
      "--if-exists",
      "--single-transaction",
      `--dbname=${url}`,
      dump,
    ]);

    strictEqual(await triggers(sql), 0);
    await worker.log.find((line) => line.includes('"event":"database_restored"'));
    await worker.log.find((line) => line.includes('"event":"changes_not_noted"'));
    const findings = await examine({ DATABASE_URL: url });
    deepStrictEqual(about("migrations", findings).slice(0, 2), [
      "failure",
      "The database's tables are older than this Lotline: 0006_note_changes_of_lots, " +
      "0007_note_changes_of_lot_genealogy, 0008_note_changes_of_qc_decisions",
    ]);
    const migrated = await taskOutput(["migrate"], { DATABASE_URL: url });
    strictEqual(migrated.code, 0, migrated.error);
    deepStrictEqual(
      migrated.output.split("\n").map((line) => line.replace(/: done in \d+ ms$/, "")),
      [
        "0002_index_link_parents",
        "0003_index_link_children",
        "0006_note_changes_of_lots",
        "0007_note_changes_of_lot_genealogy",
        "0008_note_changes_of_qc_decisions",
      ].map((name) => `${name}, again`),
    );
    strictEqual(await triggers(sql), 12);
    deepStrictEqual(
      about("migrations", await examine({ DATABASE_URL: url }))[0],
      "ok",
    );
    // The row that the key stood for is gone, so its repetition stores it.
    const again = await store();
    strictEqual(again.status, 201);
    strictEqual((await api.get("/api/traceability/LOST")).status, 200);
    match(JSON.stringify(again.json), /"lot_code":"LOST"/);
  });
}

Deno.test("a trigger that a broken restore left disabled is put back", async () => {
  await using database = await freshDatabase();
  const { sql, url } = database;
  await sql`alter table lots disable trigger all`;
  const lines: string[] = [];
  await migrate(url, (line) => lines.push(line.replace(/: done.*/, "")));
  deepStrictEqual(lines, ["0006_note_changes_of_lots, again"]);
  strictEqual(await triggers(sql), 12);
  await migrate(url, () => {
    throw new Error("nothing is left to do");
  });
});

Deno.test("a backup of the old tables with the triggers goes into a database of the newer schema", async () => {
  await using folder = await temporaryFolder();
  await using database = await freshDatabase();
  const { sql, url } = database;
  await resetToSeed(sql, await loadSeed());
  const dump = join(folder.path, "old.dump");
  await runPgProgram(17, "pg_dump", ["--format=custom", `--file=${dump}`, ...OLD_TABLES, url]);
  await sql`insert into lots (lot_code) values ('LOST')`;
  await runPgProgram(17, "pg_restore", [
    "--clean",
    "--if-exists",
    "--single-transaction",
    `--dbname=${url}`,
    dump,
  ]);
  strictEqual(await triggers(sql), 12);
  deepStrictEqual((await sql`select from lots where lot_code = 'LOST'`).length, 0);
  await sql`truncate lotline.outbox`;
  await sql`update lots set weight_kg = 1`;
  strictEqual((await sql`select from lotline.outbox`).length, 1);
});

Deno.test("a backup of the old tables with the triggers goes into an empty database", async () => {
  await using folder = await temporaryFolder();
  await using from = await freshDatabase();
  await resetToSeed(from.sql, await loadSeed());
  const dump = join(folder.path, "old.dump");
  await runPgProgram(17, "pg_dump", ["--format=custom", `--file=${dump}`, ...OLD_TABLES, from.url]);
  await using database = await freshDatabase({ migrated: false });
  const { sql, url } = database;
  await sql`create extension "uuid-ossp"`;
  await sql`create schema auth`;
  await rejects(
    runPgProgram(17, "pg_restore", [`--dbname=${url}`, dump]),
    /schema "lotline" does not exist.*errors ignored on restore: 12$/s,
  );
  await migrate(url, () => {});
  strictEqual(await triggers(sql), 12);
  const count = async (sql: Sql) => (await sql`select from lots`).length;
  strictEqual(await count(sql), await count(from.sql));
});
