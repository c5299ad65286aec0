import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import { delay } from "../timing.ts";
import type { Sql } from "./sql.ts";
import { findTraces, insertLot, LARGE_TRACE, type LotValues } from "./lots.ts";
import { type Write, writeTo } from "./write.ts";

const codeOf = (error: unknown) => error instanceof Error && "code" in error ? error.code : error;

/** Stores lots in one turn of the event loop; returns each one's code, or its error's. */
function insertInBatch(write: Write, lots: readonly LotValues[]): Promise<unknown[]> {
  return Promise.all(
    lots.map((lot) => insertLot(write, lot).then(({ lot_code }) => lot_code, codeOf)),
  );
}

/** The codes of each transaction's rows, sorted. */
async function transactions(sql: Sql): Promise<string[][]> {
  const rows = await sql<{ codes: string[] }[]>`
    select json_agg(lot_code order by lot_code) as codes from lots group by xmin::text
    order by min(lot_code)`;
  return rows.map(({ codes }) => codes);
}

Deno.test("lots that arrive together are stored in one transaction, and each gets its own row", async () => {
  await using it = await freshDatabase();
  const codes = Array.from({ length: 40 }, (_, place) => `LOT-${place + 10}`);
  const lots = codes.map((lot_code) => ({ lot_code }));
  deepStrictEqual(await insertInBatch(writeTo(it.sql), lots), codes);
  deepStrictEqual(
    (await transactions(it.sql)).map(({ length }) => length).sort(),
    [16, 16, 8],
  );
});

Deno.test("the statement for several lots is prepared once, for any number of lots", async () => {
  await using it = await freshDatabase();
  let made = 0;
  const write = writeTo(it.sql);
  const counting: Write = ({ batched, ...statement }) =>
    write({
      ...statement,
      batched() {
        made++;
        ok(batched);
        return batched();
      },
    });
  for (const round of ["A", "B", "C"]) {
    const codes = Array.from({ length: 20 }, (_, place) => `${round}-${place}`);
    await insertInBatch(counting, codes.map((lot_code) => ({ lot_code })));
  }
  strictEqual(made, 1);
});

Deno.test("a lot that arrives alone is stored immediately", async () => {
  await using it = await freshDatabase();
  const write = writeTo(it.sql);
  strictEqual((await insertLot(write, { lot_code: "A" })).lot_code, "A");
  strictEqual((await insertLot(write, { lot_code: "B" })).lot_code, "B");
  deepStrictEqual(await transactions(it.sql), [["A"], ["B"]]);
});

Deno.test("values of any content are stored the same in a batch and alone", async () => {
  await using it = await freshDatabase();
  const texts = ["null", "NULL", "", " ", 'a"b', "a\\b", "{a,b}", "a,b", "'", "é漢😀", "\n\u0001"];
  const lots = texts.map((text) => ({
    lot_code: `CODE ${text}`,
    lot_type: "MIX",
    weight_kg: "1.50",
    temperature_c: null,
    metadata: JSON.stringify({ [text]: [text, null, 1.10] }),
    created_at: "2026-01-18 08:01:02.123456+01",
  }));
  const shown = async (sql: Sql) => [...await sql`select to_jsonb(lots) - 'id' as lot from lots`];
  await insertInBatch(writeTo(it.sql), lots);
  const batched = await shown(it.sql);
  await it.sql`delete from lots`;
  for (const lot of lots) await insertLot(writeTo(it.sql), lot);
  strictEqual(batched.length, texts.length);
  deepStrictEqual(batched, await shown(it.sql));
});

Deno.test("an absent value gets its default, null stays null, also in one batch", async () => {
  await using it = await freshDatabase();
  const write = writeTo(it.sql);
  await insertInBatch(write, [
    { lot_code: "ABSENT-1" },
    { lot_code: "NULL-1", metadata: null },
    { lot_code: "ABSENT-2" },
    { lot_code: "NULL-2", metadata: null },
  ]);
  const rows = await it.sql`
    select lot_code, metadata is null as is_null from lots order by lot_code`;
  deepStrictEqual(
    rows.map((row) => row.is_null),
    [false, false, true, true],
  );
});

Deno.test("a refused lot gets its own error, and the others of its batch are stored", async () => {
  await using it = await freshDatabase();
  const write = writeTo(it.sql);
  await insertLot(write, { lot_code: "TAKEN" });
  const responses = await insertInBatch(write, [
    { lot_code: "GOOD-1" },
    { lot_code: "TAKEN" },
    { lot_code: "GOOD-2" },
    { lot_code: "GOOD-2" },
    { lot_code: "GOOD-3" },
  ]);
  const [first, taken, ...rest] = responses;
  deepStrictEqual([first, taken, rest.at(-1)], ["GOOD-1", "taken", "GOOD-3"]);
  deepStrictEqual(rest.slice(0, 2).sort(), ["GOOD-2", "taken"]);
  const codes = await it.sql`select lot_code from lots order by lot_code`;
  deepStrictEqual(codes.map((row) => row.lot_code), ["GOOD-1", "GOOD-2", "GOOD-3", "TAKEN"]);
});

Deno.test("lots that wait for a lock don't delay others", async () => {
  await using it = await freshDatabase();
  const write = writeTo(it.sql);
  await using other = await openTransaction(
    it.sql,
    "insert into lots (lot_code) values ('HELD-1'), ('HELD-2')",
  );
  const held: Promise<unknown>[] = [];
  // As many statements as may be running, one after the other.
  for (const lot_code of ["HELD-1", "HELD-2"]) {
    held.push(insertLot(write, { lot_code }));
    await delay(10);
  }
  strictEqual((await insertLot(write, { lot_code: "FREE" })).lot_code, "FREE");
  strictEqual(await Promise.race([...held, "waiting"]), "waiting");
  const fates = Promise.allSettled(held);
  await other.commit();
  deepStrictEqual((await fates).map(({ status }) => status), ["rejected", "rejected"]);
});

Deno.test("a write that loses its connection is not repeated: it may have been stored", async () => {
  await using it = await freshDatabase();
  const write = writeTo(it.sql);
  await using locked = await openTransaction(it.sql, "lock table lots in exclusive mode");
  const responses = insertInBatch(write, [{ lot_code: "A" }, { lot_code: "B" }]);
  await eventually("the insert waits for the table, and its connection is ended", async () => {
    const ended = await it.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where wait_event_type = 'Lock' and datname = current_database()`;
    return ended.length === 1;
  });
  for (const response of await responses) {
    ok(response !== "A" && response !== "B", String(response));
  }
  await locked.commit();
  strictEqual((await it.sql`select from lots`).length, 0);
});

Deno.test("lots with any codes are found in a batch as alone", async () => {
  await using it = await freshDatabase();
  const codes = ["null", 'a"b', "a\\b", "{a,b}", "a,b", "é漢😀", "\u0001"];
  await insertInBatch(writeTo(it.sql), codes.map((lot_code) => ({ lot_code })));
  const found = await findTraces(it.sql, [...codes, "nowhere"]);
  const codeOf = (trace = found.get("nowhere")) =>
    trace === LARGE_TRACE ? undefined : trace?.central.lot_code;
  deepStrictEqual(codes.map((code) => codeOf(found.get(code))), codes);
  strictEqual(found.has("nowhere"), false);
});
