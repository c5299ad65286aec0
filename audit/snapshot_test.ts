import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { openSession } from "../db/session.ts";
import { freshDatabase } from "../testing/database.ts";
import { addToPlant, audit, buildPlant, findingsOf } from "../testing/audited_plant.ts";
import { eventually } from "../testing/eventually.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import { searchCycles } from "./cycle_search.ts";
import { inSnapshot } from "../lineage/snapshot.ts";
import { lockWaits } from "../testing/lock_waits.ts";

const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

const OPTIONS = { signal: new AbortController().signal, settings: {} };

const isWaiting = async () => await lockWaits(sql) > 0;

const stopWriting = () => openTransaction(sql, "lock table lotline.audit_findings");

Deno.test("an audit reads one snapshot: rows stored while it runs are neither found nor blocked", async () => {
  await buildPlant(sql, { lots: { R: {}, M: { type: "MIX" } }, links: [["R", "M"]] });
  const before = await stopWriting();
  const audited = audit(database);
  await eventually("the audit waits to write its first finding", isWaiting);
  const [later] = await sql<{ moment: string }[]>`select clock_timestamp() as moment`;
  await sql`delete from lot_genealogy`;
  await sql`update lots set weight_kg = 'NaN' where lot_code = 'R'`;
  await addToPlant(sql, { lots: { X: { type: "FG" } } });
  await before.commit();
  const { run, summary, id } = await audited;
  deepStrictEqual(await findingsOf(sql, run), []);
  deepStrictEqual([summary.lots, summary.links], [2, 1]);
  const [row] = await sql<{ as_of: string }[]>`
    select as_of from lotline.audits where id = ${id}`;
  ok(row && later && row.as_of <= later.moment, `${row?.as_of} ${later?.moment}`);
});

Deno.test("an aborted audit stops immediately, in PostgreSQL too, and stores nothing", async () => {
  await buildPlant(sql, { lots: { R: { kg: "-1" } } });
  await using stopped = await stopWriting();
  const abort = new AbortController();
  const audited = audit(database, { signal: abort.signal });
  await eventually("the audit waits to write its first finding", isWaiting);
  const reason = new Error("make way");
  abort.abort(reason);
  await rejects(audited, reason);
  await eventually("PostgreSQL has given the statement up", async () => !await isWaiting());
  ok(stopped.isOpen, "the statement was cancelled, not finished");
  await stopped.commit();
  strictEqual((await sql`select from lotline.audit_findings`).length, 0);
});

Deno.test("an audit that is aborted between two checks runs no further check", async () => {
  await buildPlant(sql, { lots: { R: { kg: "-1" } } });
  const abort = new AbortController();
  const seen: number[] = [];
  const audited = audit(database, {
    signal: abort.signal,
    progress: ({ checked, of, lots, links }) => {
      deepStrictEqual({ of, lots, links }, { of: 17, lots: 1, links: 0 });
      seen.push(checked);
      if (checked === 12) abort.abort(new Error("make way"));
    },
  });
  await rejects(audited, /make way/);
  deepStrictEqual(seen, Array.from({ length: 13 }, (_, i) => i));
  strictEqual((await sql`select from lotline.audit_findings`).length, 0);
});

Deno.test("more links than can be searched for cycles are refused", async () => {
  await buildPlant(sql, {
    lots: { A: { type: "MIX" }, B: { type: "MIX" } },
    links: [["A", "B"], ["B", "A"], ["A", "B"]],
  });
  await using session = openSession(database.url, { name: "lotline-test" });
  const search = (max: number) =>
    inSnapshot(session, OPTIONS, (snapshot) => searchCycles(snapshot, { max }));
  strictEqual((await search(3)).complete, true);
  await rejects(
    search(2),
    new RangeError("2 lots and 3 links are too many to search for cycles, 2 of each the most"),
  );
});

Deno.test("lots without links between them count too, since they are searched", async () => {
  await buildPlant(sql, {
    lots: { R: { kg: "900" }, A: { type: "MIX" }, B: { type: "MIX" }, F: { type: "FG" } },
    links: [["R", "A"], ["R", "B"], ["A", "F"], ["B", "F"]],
  });
  await using session = openSession(database.url, { name: "lotline-test" });
  const search = inSnapshot(session, OPTIONS, (snapshot) => searchCycles(snapshot, { max: 1 }));
  await rejects(search, /2 lots and 0 links/);
});

Deno.test("of many long cycles only the first are reported", async () => {
  await buildPlant(sql, { lots: {} });
  await using session = openSession(database.url, { name: "lotline-test" });
  await session.sql`set session_replication_role = replica`;
  // A ring of 1,000 lots, and 300 lots that are each a second path around one of these.
  await session.sql`insert into lots (id, lot_code, lot_type, weight_kg)
    select md5(n::text)::uuid, 'L' || n, 'RAW', 1000000 from generate_series(0, 1299) n`;
  await session.sql`insert into lot_genealogy (parent_lot_id, child_lot_id, quantity_used_kg)
    select md5(parent::text)::uuid, md5(child::text)::uuid, 1 from (
      select n as parent, (n + 1) % 1000 as child from generate_series(0, 999) n
      union all select n, 1000 + n from generate_series(0, 299) n
      union all select 1000 + n, n + 2 from generate_series(0, 299) n
    ) links`;
  const { summary } = await audit(database);
  const { found, complete } = summary.findings[0] ?? {};
  deepStrictEqual([found, complete], [200, false]);
});

Deno.test("links are read completely, however many pages they fill", async () => {
  await buildPlant(sql, { lots: {} });
  await using session = openSession(database.url, { name: "lotline-test" });
  // Without the foreign keys' triggers, which would take most of the time.
  await session.sql`set session_replication_role = replica`;
  await session.sql`insert into lots (id, lot_code, lot_type, weight_kg)
    select md5(n::text)::uuid, 'L' || n, 'RAW', 1000000 from generate_series(0, 13999) n`;
  await session.sql`insert into lot_genealogy (parent_lot_id, child_lot_id, quantity_used_kg)
    select md5(n::text)::uuid, md5(((n + 1) % 14000)::text)::uuid, 1
    from generate_series(0, 13999) n, generate_series(1, 5)`;
  const { summary } = await audit(database);
  const { found, complete } = summary.findings[0] ?? {};
  deepStrictEqual([summary.links, found, complete], [70_000, 1, true]);
});
