import { ok, strictEqual } from "node:assert/strict";
import { freshDatabase, type TestDatabase } from "../testing/database.ts";
import { connect } from "./connect.ts";
import type { Sql } from "./sql.ts";
import { readOutbox } from "./outbox.ts";

async function databaseWithLot(major: 15 | 17 = 17): Promise<TestDatabase> {
  const database = await freshDatabase({ major });
  await database.sql`insert into lots (lot_code) values ('A')`;
  return database;
}

/** How many changes were lost. */
const lost = async (sql: Sql) => (await readOutbox(sql, "0")).lost;

const KILOBYTE = 1_024;

/** Sets the bound of the outbox. */
const limit = (sql: Sql, kilobytes: number) =>
  sql.unsafe(`create or replace function lotline.outbox_limit() returns bigint
    language sql immutable as $$ select ${kilobytes * KILOBYTE}::bigint $$`);

const kilobytes = async (sql: Sql) => {
  const [row] = await sql<{ size: number }[]>`
    select (pg_table_size('lotline.outbox') / 1024)::int as size`;
  return row?.size ?? NaN;
};

/** Changes a lot this many times, in a transaction each. */
const touch = (sql: Sql, times: number, where = "lot_code = 'A'") =>
  sql.unsafe(`do $$ begin for n in 1..${times} loop
    update lots set weight_kg = n where ${where}; commit; end loop; end $$`).simple();

for (const major of [15, 17] as const) {
  Deno.test(`an outbox without a relay stops growing, and its writers are not affected (PostgreSQL ${major})`, async () => {
    await using database = await databaseWithLot(major);
    const { sql } = database;
    await limit(sql, 450);
    await touch(sql, 3_000);
    strictEqual(await lost(sql), "0");
    await touch(sql, 3_000);
    const counted = Number(await lost(sql));
    ok(counted > 500, `${counted} changes were lost`);
    const size = await kilobytes(sql);
    ok(size >= 450 && size < 500, `${size} kB`);
    await sql`insert into lots (lot_code) values ('D')`;
    await sql`insert into lot_genealogy default values`;
    await sql`insert into qc_decisions (decision) values ('PASS')`;
    await sql`truncate lots, lot_genealogy, qc_decisions`;
    ok(Number(await lost(sql)) >= counted + 6);
    strictEqual(await kilobytes(sql), size);
  });
}

Deno.test("the ids in changes count for the bound, wherever PostgreSQL stores them", async () => {
  await using database = await freshDatabase();
  // 270,000 changes in one statement, which on a busy machine may exceed a request's timeout.
  const sql = connect({ url: database.url, max: 1, statementTimeoutMs: 60_000 });
  await using _ended = { [Symbol.asyncDispose]: () => sql.end() };
  await sql`insert into lots (lot_code) select 'M' || n from generate_series(1, 900) n`;
  await limit(sql, 1_000);
  await touch(sql, 300, "true");
  const size = await kilobytes(sql);
  ok(size >= 1_000 && size < 5_000, `${size} kB`);
});

Deno.test("an outbox that was drained and vacuumed accepts changes again", async () => {
  await using database = await databaseWithLot();
  const { sql } = database;
  await limit(sql, 100);
  await touch(sql, 2_000);
  await sql`delete from lotline.outbox`;
  await sql`vacuum lotline.outbox`;
  // One in 32 writers checks the size; until then, the others add no changes.
  await touch(sql, 400);
  const before = await lost(sql);
  await touch(sql, 100);
  strictEqual(await lost(sql), before);
});
