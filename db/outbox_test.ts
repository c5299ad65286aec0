import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { freshDatabase, type TestDatabase } from "../testing/database.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import type { Sql } from "./sql.ts";
import { readOutbox, removeFromOutbox } from "./outbox.ts";
import { openSession } from "./session.ts";

/** The rows of the outbox, in the order of writing; lots by their codes. */
async function changes(sql: Sql): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    select source || ' ' || operation || ': ' || coalesce((
      select string_agg(coalesce(lot_code, 'gone'), ' ' order by lot_code collate "C")
      from (select distinct lot_code from unnest(outbox.lots) lot
        left join lots on lots.id = lot where lot is not null) named
    ), case when outbox.lots is null then 'many' else 'none' end)
      || coalesce(' [' || array_to_string(codes, ' ') || ']', '') as line
    from lotline.outbox order by xid, ctid`;
  return rows.map(({ line }) => line);
}

async function databaseWithLots(major: 15 | 17 = 17): Promise<TestDatabase> {
  const database = await freshDatabase({ major });
  await database.sql`insert into lots (lot_code) values ('A'), ('B'), ('C')`;
  await database.sql`delete from lotline.outbox`;
  return database;
}

/** The id of a lot, in SQL. */
const idOf = (code: string) => `(select id from lots where lot_code = '${code}')`;

const LINK = `insert into lot_genealogy (parent_lot_id, child_lot_id, quantity_used_kg)
  values (${idOf("A")}, ${idOf("B")}, 1)`;

const STATEMENTS: readonly [what: string, statements: string[], noted: string[]][] = [
  ["lots that are inserted, all in one row", [
    "insert into lots (lot_code) values ('D'), ('E')",
  ], ["lots INSERT: D E"]],
  ["an insert that is an update", [
    "insert into lots (lot_code) values ('A') on conflict (lot_code) do update set weight_kg = 1",
  ], ["lots UPDATE: A [A]"]],
  ["lots that are updated, with their old and new codes", [
    "update lots set lot_code = lot_code || '2' where lot_code in ('A', 'B')",
  ], ["lots UPDATE: A2 B2 [A A2 B B2]"]],
  ["a lot that gets another id", [
    "update lots set id = '00000000-0000-4000-8000-000000000001' where lot_code = 'A'",
  ], ["lots UPDATE: A gone [A]"]],
  ["lots that are deleted", [
    "delete from lots where lot_code < 'C'",
  ], ["lots DELETE: gone [A B]"]],
  ["links, with the lots at both ends", [
    LINK,
    `update lot_genealogy set child_lot_id = ${idOf("C")}`,
    "delete from lot_genealogy",
  ], [
    "lot_genealogy INSERT: A B",
    "lot_genealogy UPDATE: A B C",
    "lot_genealogy DELETE: A C",
  ]],
  ["half links and links without ends", [
    `insert into lot_genealogy (child_lot_id) values (${idOf("B")})`,
    "insert into lot_genealogy default values",
  ], ["lot_genealogy INSERT: B", "lot_genealogy INSERT: none"]],
  ["QC decisions", [
    `insert into qc_decisions (lot_id, decision) values (${idOf("A")}, 'HOLD')`,
    `update qc_decisions set lot_id = ${idOf("B")}`,
    "delete from qc_decisions",
    "insert into qc_decisions default values",
  ], [
    "qc_decisions INSERT: A",
    "qc_decisions UPDATE: A B",
    "qc_decisions DELETE: B",
    "qc_decisions INSERT: none",
  ]],
  ["statements that change no row: nothing", [
    "update lots set weight_kg = 1 where false",
    "delete from lot_genealogy",
    "delete from qc_decisions",
    "insert into lots (lot_code) select 'D' where false",
  ], []],
  ["tables that are emptied", [
    "truncate lots, lot_genealogy, qc_decisions",
  ], ["lots TRUNCATE: many", "lot_genealogy TRUNCATE: many", "qc_decisions TRUNCATE: many"]],
];

for (const major of [15, 17] as const) {
  for (const [what, statements, noted] of STATEMENTS) {
    Deno.test(`the outbox receives ${what} (PostgreSQL ${major})`, async () => {
      await using database = await databaseWithLots(major);
      for (const statement of statements) await database.sql.unsafe(statement);
      deepStrictEqual((await changes(database.sql)).sort(), noted.toSorted());
    });
  }
}

Deno.test("up to a thousand lots of a statement are named, more are many", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const sizes = async () => {
    const rows = await sql<{ named: number | null }[]>`
      delete from lotline.outbox returning cardinality(lots) as named`;
    return rows.map(({ named }) => named);
  };
  for (const [lots, named] of [[1_000, 1_000], [1_001, null]] as const) {
    const codes = sql`select ${`${lots}-`}::text || n from generate_series(1, ${lots}::int) n`;
    await sql`insert into lots (lot_code) ${codes}`;
    deepStrictEqual(await sizes(), [named]);
    await sql`update lots set weight_kg = 1`;
    await sql`insert into qc_decisions (lot_id) select id from lots`;
    deepStrictEqual(await sizes(), [named, named]);
    await sql`truncate qc_decisions`;
    await sql`delete from lots`;
    deepStrictEqual(await sizes(), [null, named]);
  }
  await sql`insert into lots (lot_code) values ('A')`;
  for (const links of [1_000, 1_001]) {
    await sql`insert into lot_genealogy (parent_lot_id, child_lot_id)
      select id, id from lots, generate_series(1, ${links}::int)`;
    await sql`update lot_genealogy set quantity_used_kg = 1`;
    await sql`delete from lot_genealogy`;
  }
  deepStrictEqual(await sizes(), [1, 2_000, 4_000, 2_000, null, null, null]);
});

Deno.test("a COPY of 100,000 lots is one row", async () => {
  await using database = await freshDatabase();
  // Without a pool's statement timeout: postgres.js never reports to a COPY that it was cancelled.
  await using session = openSession(database.url, { name: "lotline-test" });
  const { sql } = session;
  const copy = await sql`copy lots (lot_code) from stdin`.writable();
  for (let n = 0; n < 100_000; n++) copy.write(`COPIED-${n}\n`);
  await new Promise((resolve, reject) => copy.on("error", reject).on("finish", resolve).end());
  deepStrictEqual(await changes(sql), ["lots INSERT: many"]);
});

Deno.test("a rollback leaves nothing, and a later commit comes later", async () => {
  await using database = await databaseWithLots();
  const { sql } = database;
  await inVain(sql, "update lots set weight_kg = 1");
  await using writer = await openTransaction(
    sql,
    "update lots set weight_kg = 2 where lot_code = 'A'",
  );
  await sql`update lots set weight_kg = 2 where lot_code = 'B'`;
  const first = await readOutbox(sql, "0");
  deepStrictEqual(first.lotCodes, ["B"]);
  await removeFromOutbox(sql, first);
  await writer.commit();
  const second = await readOutbox(sql, first.horizon);
  deepStrictEqual(second.lotCodes, ["A"]);
  await removeFromOutbox(sql, second);
  deepStrictEqual((await readOutbox(sql, second.horizon)).transactions, []);
  deepStrictEqual(await changes(sql), []);
});

Deno.test("a change names each lot whose one-hop trace shows it, and no other", async () => {
  await using database = await databaseWithLots();
  const { sql } = database;
  await sql`insert into lots (lot_code) values ('P'), ('Q')`;
  for (const [parent, child] of ["PA", "PA", "AB", "BC", "QQ"].map((pair) => [...pair])) {
    await sql`insert into lot_genealogy (parent_lot_id, child_lot_id)
      select a.id, b.id from lots a, lots b
      where a.lot_code = ${parent ?? ""} and b.lot_code = ${child ?? ""}`;
  }
  const named = async (change: string) => {
    await sql`delete from lotline.outbox`;
    await sql.unsafe(change);
    const { lotCodes, everything } = await readOutbox(sql, "0");
    return everything ? "everything" : lotCodes.toSorted().join(" ");
  };
  strictEqual(await named("update lots set weight_kg = 1 where lot_code = 'A'"), "A B P");
  strictEqual(await named("update lots set weight_kg = 1 where lot_code = 'Q'"), "Q");
  strictEqual(await named("update lots set lot_code = 'R' where lot_code = 'Q'"), "Q R");
  strictEqual(await named(LINK), "A B");
  strictEqual(await named(`insert into lot_genealogy (child_lot_id) values (${idOf("C")})`), "C");
  // No response shows a decision, and none has a new lot.
  strictEqual(await named("insert into qc_decisions default values"), "");
  strictEqual(await named("insert into lots (lot_code) values ('NEW')"), "");
  strictEqual(
    await named("insert into lots (lot_code) select 'M' || n from generate_series(1, 1001) n"),
    "",
  );
  strictEqual(await named("update lots set weight_kg = 2"), "everything");
  strictEqual(await named("truncate lot_genealogy"), "everything");
  strictEqual(await named(`delete from lots where lot_code = 'A'`), "A");
});

Deno.test("a batch is bounded: with more changes, or lots with more links, everything counts as changed", async () => {
  await using database = await databaseWithLots();
  const { sql } = database;
  await sql.unsafe(`do $$ begin for n in 1..5001 loop
    update lots set weight_kg = n where lot_code = 'A'; end loop; end $$`);
  strictEqual((await readOutbox(sql, "0")).everything, true);
  await sql`delete from lotline.outbox`;
  await sql`insert into lots (lot_code) select 'M' || n from generate_series(1, 5001) n`;
  await sql`insert into lot_genealogy (parent_lot_id, child_lot_id)
    select a.id, b.id from lots a, lots b where a.lot_code = 'A' and b.lot_code like 'M%'`;
  await sql`delete from lotline.outbox`;
  await sql`update lots set weight_kg = 0 where lot_code = 'A'`;
  strictEqual((await readOutbox(sql, "0")).everything, true);
});

/** Takes batch after batch until none is left; returns each one's contents. */
async function drain(sql: Sql): Promise<string[]> {
  const batches: string[] = [];
  for (let from = "0"; batches.length < 20;) {
    const batch = await readOutbox(sql, from);
    if (batch.transactions.length === 0) return batches;
    batches.push(batch.many ? "many" : batch.everything ? "everything" : batch.lotCodes.join(" "));
    await removeFromOutbox(sql, batch);
    from = batch.horizon;
  }
  throw new Error(`there is no end: ${batches.join(", ")}`);
}

for (const [how, commit] of [["of one transaction", ""], ["of a transaction each", "commit;"]]) {
  Deno.test(`of more changes than a batch holds, ${how}, none is skipped`, async () => {
    await using database = await databaseWithLots();
    const { sql } = database;
    await sql`set synchronous_commit = off`;
    await sql.unsafe(`do $$ begin for n in 1..10002 loop
      insert into lot_genealogy default values; ${commit} end loop; end $$`).simple();
    await sql`update lots set weight_kg = 1 where lot_code = 'B'`;
    deepStrictEqual(await drain(sql), ["many", "many", "B"]);
    deepStrictEqual(await changes(sql), []);
  });
}

for (
  const [what, change] of [
    ["lots", "update lot_genealogy set quantity_used_kg = n"],
    ["codes", "update lots set lot_code = lot_code || 'x'"],
  ] as const
) {
  Deno.test(`few changes that name very many ${what} are many`, async () => {
    await using database = await freshDatabase();
    const { sql } = database;
    await sql`insert into lots (lot_code) select 'M' || n from generate_series(1, 1000) n`;
    await sql`insert into lot_genealogy (parent_lot_id, child_lot_id) select id, id from lots`;
    await sql`delete from lotline.outbox`;
    await sql.unsafe(`do $$ begin for n in 1..26 loop ${change}; end loop; end $$`).simple();
    deepStrictEqual(await drain(sql), ["many"]);
  });
}

Deno.test("the changes of a writer without any right on schema lotline are noted", async () => {
  await using database = await databaseWithLots();
  const { sql } = database;
  const role = `plant_${crypto.randomUUID().slice(0, 8)}`;
  await sql`create role ${sql(role)}`;
  try {
    await sql`grant select, insert, update, delete, truncate on lots, lot_genealogy, qc_decisions
      to ${sql(role)}`;
    const as = (statement: string) =>
      sql.begin(async (transaction) => {
        await transaction`set local role ${transaction(role)}`;
        await transaction.unsafe(statement);
      });
    await as("insert into lots (lot_code) values ('D')");
    await as(LINK);
    await as("truncate qc_decisions");
    deepStrictEqual(await changes(sql), [
      "lots INSERT: D",
      "lot_genealogy INSERT: A B",
      "qc_decisions TRUNCATE: many",
    ]);
    // It can't write there by its own rights.
    await rejects(as("delete from lotline.outbox"), { code: "42501" });
  } finally {
    await sql.unsafe(`drop owned by ${role}; drop role ${role}`).simple();
  }
});

/** Runs a statement in a transaction that then fails. */
async function inVain(sql: Sql, statement: string): Promise<void> {
  const block = `do $block$ begin ${statement}; raise exception 'in vain'; end $block$`;
  await rejects(sql.unsafe(block), { message: "in vain" });
}

const lost = async (sql: Sql) => (await readOutbox(sql, "0")).lost;

const BROKEN: readonly [how: string, statement: string][] = [
  ["refuses every row", "alter table lotline.outbox add check (source = '') not valid"],
  ["has another form", "alter table lotline.outbox drop column codes, drop column lots"],
  ["is gone", "drop table lotline.outbox"],
  ["has lost its gate", "drop sequence lotline.outbox_gate"],
  [
    "is gone, and the count of what is lost too",
    `drop table lotline.outbox;
    drop sequence lotline.lost_changes; drop function lotline.lose_change`,
  ],
];

for (const [how, statement] of BROKEN) {
  Deno.test(`a writer succeeds when the outbox ${how}`, async () => {
    await using database = await databaseWithLots();
    const { sql } = database;
    await sql.unsafe(statement).simple();
    await sql`insert into lots (lot_code) values ('D')`;
    await sql`update lots set weight_kg = 1`;
    await sql.unsafe(LINK);
    await sql`insert into qc_decisions (decision) values ('PASS')`;
    await sql`truncate lots, lot_genealogy, qc_decisions`;
  });
}

Deno.test("a change that could not be noted is counted, even if its transaction fails", async () => {
  await using database = await databaseWithLots();
  const { sql } = database;
  strictEqual(await lost(sql), "0");
  await sql`alter table lotline.outbox add check (source <> 'lots') not valid`;
  await sql`update lots set weight_kg = 1`;
  strictEqual(await lost(sql), "1");
  await inVain(sql, "update lots set weight_kg = 2");
  strictEqual(await lost(sql), "2");
});

Deno.test("a lock on the outbox delays a writer by a tenth of a second, not for long", async () => {
  await using database = await databaseWithLots();
  const { sql } = database;
  await using lock = await openTransaction(sql, "lock table lotline.outbox");
  const began = performance.now();
  await sql`update lots set weight_kg = 1`;
  ok(performance.now() - began > 90, "it has waited");
  ok(lock.isOpen, "it has not waited for the lock");
});

Deno.test("without schema lotline the old tables work as before", async () => {
  await using database = await databaseWithLots();
  const { sql } = database;
  await sql`drop schema lotline cascade`;
  const triggers = await sql`select from pg_trigger where tgname like 'lotline%'`;
  strictEqual(triggers.length, 0);
  await sql`update lots set weight_kg = 1`;
});
