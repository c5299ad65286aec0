import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { migrationFolder } from "../testing/migration_folder.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import { oldDatabase } from "../testing/old_database.ts";
import { SCHEMA_LOCK } from "./journal.ts";
import type { LockHolder } from "./lock_holders.ts";
import { migrate, MigrationError } from "./migrate.ts";
import { describeBlockers, waitForTurn } from "./migration_waits.ts";
import { SERVICE_SERIES } from "./migrations.ts";
import { openSession } from "./session.ts";

Deno.test("a run that waits for its turn says who has the lock, since when, and what to do", async () => {
  await using database = await freshDatabase();
  const { sql, url } = database;
  await using forgotten = openSession(url, { name: "lotline-api" });
  await forgotten.sql`select pg_advisory_lock(${SCHEMA_LOCK})`;
  const lines: string[] = [];
  const run = migrate(url, (line) => lines.push(line));
  await eventually("it says so", () => lines.length > 0);
  const [, statement = ""] = /: (select pg_terminate_backend\(\d+\))$/.exec(lines[0] ?? "") ?? [];
  match(
    lines[0] ?? "",
    /^Waiting for another migration: connection \d+ \(lotline-api, .*idle since .*\) has the lock; /,
  );
  await sql.unsafe(statement);
  await run;
  strictEqual(lines.length, 1, "again after 30 s only");
});

Deno.test("a step that fails since it waited for a lock names the connection in its way", async () => {
  await using folder = await migrationFolder({ "0001_a.sql": "alter table a add column b int" });
  await using database = await freshDatabase({ migrated: false });
  const { sql, url } = database;
  await sql`create table a ()`;
  await using _reader = await openTransaction(sql, "select from a");
  const lines: string[] = [];
  await rejects(
    migrate(url, (line) => lines.push(line), [{ ...SERVICE_SERIES, folder: folder.url }]),
    (error) => {
      ok(error instanceof MigrationError);
      match(
        error.message,
        /lock timeout: it waited for connection \d+ \(lotline-test, .* in a transaction since .*\)$/,
      );
      return true;
    },
  );
  strictEqual(lines.length, 1);
  match(lines[0] ?? "", /^0001_a waits for connection \d+ \(lotline-test, /);
});

Deno.test("an index build that waits for a transaction names its connection once", async () => {
  await using database = await oldDatabase();
  const { sql, url } = database;
  await using writer = await openTransaction(sql, "insert into lot_genealogy default values");
  const lines: string[] = [];
  const run = migrate(url, (line) => lines.push(line));
  const waits = () => lines.filter((line) => line.includes(" waits for "));
  await eventually("it says so", () => waits().length > 0);
  match(
    waits()[0] ?? "",
    /^0002_index_link_parents waits for connection \d+ \(lotline-test, .* in a transaction since /,
  );
  await writer.commit();
  await run;
  strictEqual(waits().length, 1);
});

const HOLDER: LockHolder = {
  pid: 4711,
  application: "lotline-migrate",
  user: "plant",
  client: null,
  connectedAt: "C",
  transactionAt: null,
  idleAt: null,
  silentS: 300,
};
const IDLE = { ...HOLDER, idleAt: "I" };
const ADVICE = "; when it is left over, end it with: select pg_terminate_backend(4711)";

const TURNS: readonly [what: string, holder: LockHolder, hasAdvice: boolean][] = [
  ["a migration that works for long", HOLDER, false],
  ["a migration between two steps", { ...IDLE, silentS: 59 }, false],
  ["a migration that is idle for long", { ...IDLE, silentS: 61 }, true],
  ["a cutover's drop", { ...HOLDER, application: "lotline-cutover/plant" }, false],
  ["another program", { ...HOLDER, application: "psql" }, true],
];

for (const [what, holder, hasAdvice] of TURNS) {
  Deno.test(`the lock of ${what}: ${hasAdvice ? "advice to end it" : "no advice"}`, () => {
    strictEqual(waitForTurn(holder).endsWith(" has the lock"), !hasAdvice);
    strictEqual(waitForTurn(holder).endsWith(` has the lock${ADVICE}`), hasAdvice);
  });
}

Deno.test("blockers are listed, and the statement is there for an idle one alone", () => {
  deepStrictEqual(
    describeBlockers([{ ...HOLDER, pid: 1 }, { ...IDLE, application: "psql" }]),
    "connection 1 (lotline-migrate, plant, connected since C) and " +
      `connection 4711 (psql, plant, connected since C, idle since I)${ADVICE}`,
  );
});
