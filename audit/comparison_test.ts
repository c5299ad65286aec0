import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import {
  addToPlant,
  audit,
  buildPlant,
  type DoneAudit,
  findingsOf,
} from "../testing/audited_plant.ts";
import type { Kind } from "./kinds.ts";

const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

/** The findings of one kind that an audit counted. */
function countOf({ summary }: DoneAudit, kind: Kind) {
  const count = summary.findings.find((count) => count.kind === kind);
  if (count === undefined) throw new Error(`${kind} is not counted`);
  const { found, new: fresh, still_there, unknown, gone, kept, complete } = count;
  return { found, new: fresh, still_there, unknown, gone, kept, complete };
}

const NOTHING = { found: 0, new: 0, still_there: 0, unknown: 0, gone: 0, kept: 0, complete: true };

Deno.test("a finding is new, then unchanged, then gone for one audit, and then forgotten", async () => {
  await buildPlant(sql, { lots: { A: { kg: "-1" }, B: { kg: "-2" } } });
  const first = await audit(database);
  deepStrictEqual(await findingsOf(sql, first.run), [
    "new negative_weight A",
    "new negative_weight B",
  ]);

  await sql`update lots set weight_kg = 1 where lot_code = 'A'`;
  await addToPlant(sql, { lots: { C: { kg: "-3" } } });
  const second = await audit(database);
  deepStrictEqual(await findingsOf(sql, second.run), [
    "gone negative_weight A",
    "still_there negative_weight B",
    "new negative_weight C",
  ]);
  deepStrictEqual(countOf(second, "negative_weight"), {
    ...NOTHING,
    found: 2,
    new: 1,
    still_there: 1,
    gone: 1,
    kept: 2,
  });

  await sql`update lots set weight_kg = -1 where lot_code = 'A'`;
  await sql`update lots set weight_kg = 1 where lot_code <> 'A'`;
  const third = await audit(database);
  deepStrictEqual(await findingsOf(sql, third.run), [
    "new negative_weight A",
    "gone negative_weight B",
    "gone negative_weight C",
  ]);
  const fourth = await audit(database);
  deepStrictEqual(await findingsOf(sql, fourth.run), ["still_there negative_weight A"]);
  const [row] = await sql`select compared_with from lotline.audits where id = ${fourth.id}`;
  strictEqual(row?.compared_with, third.id);
});

Deno.test("a finding that is gone keeps its codes and numbers, even if its lot is gone too", async () => {
  await buildPlant(sql, { lots: { A: { kg: "-1.50" } } });
  await audit(database);
  await sql`delete from lots`;
  const { run } = await audit(database);
  deepStrictEqual(await findingsOf(sql, run), ["gone negative_weight A"]);
  const [row] = await sql`select numbers from lotline.audit_findings where run = ${run}`;
  deepStrictEqual(row?.numbers, { weight_kg: "-1.50" });
});

Deno.test("the same lot with a finding of another kind is a new finding", async () => {
  await buildPlant(sql, { lots: { A: { kg: "-1" } } });
  await audit(database);
  await sql`update lots set weight_kg = null`;
  const { run } = await audit(database);
  deepStrictEqual(await findingsOf(sql, run), ["new missing_weight A", "gone negative_weight A"]);
});

Deno.test("a cycle with other links stays the same cycle; with one lot more it is another", async () => {
  const lots = { A: { type: "MIX" }, B: { type: "MIX" }, C: { type: "MIX" } };
  await buildPlant(sql, { lots, links: [["A", "B"], ["B", "A"]] });
  await audit(database);
  await sql`delete from lot_genealogy`;
  await addToPlant(sql, { lots: {}, links: [["B", "A", "1"], ["A", "B", "1"]] });
  const cycles = async () =>
    (await findingsOf(sql, (await audit(database)).run)).filter((line) => line.includes("cycle"));
  deepStrictEqual(await cycles(), ["still_there cycle A B"]);
  await sql`delete from lot_genealogy`;
  await addToPlant(sql, { lots: {}, links: [["A", "B"], ["B", "C"], ["C", "A"]] });
  deepStrictEqual((await cycles()).map((line) => line.split(" ", 2).join(" ")).sort(), [
    "gone cycle",
    "new cycle",
  ]);
});

const id = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

/** Lots without a weight, with ids from one number to another. */
const insertWeightless = (from: number, to: number) =>
  sql`insert into lots (id, lot_code, lot_type)
    select format('00000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid, 'L' || n, 'RAW'
    from generate_series(${from}::int, ${to}::int) n`;

Deno.test("of too many findings the smallest are stored, and nothing false is reported of the others", async () => {
  await buildPlant(sql, { lots: {} });
  await insertWeightless(10, 10_012);
  const first = await audit(database);
  deepStrictEqual(countOf(first, "missing_weight"), {
    ...NOTHING,
    found: 10_003,
    new: 10_003,
    kept: 10_000,
  });

  // Three stored findings and one that wasn't stored are gone. New findings that sort first push
  // two stored ones out, though those still exist.
  await sql`update lots set weight_kg = 1
    where id in (${id(10)}, ${id(11)}, ${id(12)}, ${id(10_010)})`;
  await insertWeightless(0, 4);
  await insertWeightless(20_000, 20_000);
  const second = await audit(database);
  deepStrictEqual(countOf(second, "missing_weight"), {
    found: 10_005,
    new: 5,
    still_there: 9_997,
    unknown: 3,
    gone: 3,
    kept: 10_000,
    complete: true,
  });
  const standings = await sql<{ lot: string; standing: string }[]>`
    select lot_codes[1] as lot, standing from lotline.audit_findings
    where run = ${second.run} and standing <> 'still_there' order by subject`;
  deepStrictEqual(standings.map(({ lot, standing }) => `${standing} ${lot}`), [
    ...[0, 1, 2, 3, 4].map((number) => `new L${number}`),
    ...[10, 11, 12].map((number) => `gone L${number}`),
  ]);

  await sql`update lots set weight_kg = 1 where id > ${id(15)}`;
  const third = await audit(database);
  deepStrictEqual(countOf(third, "missing_weight"), {
    ...NOTHING,
    found: 8,
    still_there: 8,
    gone: 9_992,
    kept: 8,
  });
  await insertWeightless(30_000, 30_000);
  deepStrictEqual(countOf(await audit(database), "missing_weight"), {
    ...NOTHING,
    found: 9,
    new: 1,
    still_there: 8,
    kept: 9,
  });
});

/** Pairs of lots that are made of each other, with ids from one number to another. */
async function insertCycles(from: number, to: number): Promise<void> {
  await sql`insert into lots (id, lot_code, lot_type, weight_kg)
    select format('00000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid, 'L' || n, 'MIX', 1
    from generate_series(${2 * from}::int, ${2 * to + 1}::int) n`;
  await sql`insert into lot_genealogy (parent_lot_id, child_lot_id, quantity_used_kg)
    select one.id, other.id, 1 from lots one join lots other
      on substr(other.lot_code, 2)::int / 2 = substr(one.lot_code, 2)::int / 2 and other.id <> one.id
    where substr(one.lot_code, 2)::int between ${2 * from}::int and ${2 * to + 1}::int`;
}

Deno.test("a search for cycles that ended early reports no cycle as gone, and the next one none as new", async () => {
  await buildPlant(sql, { lots: {} });
  await insertCycles(5_000, 5_000);
  await audit(database);

  await insertCycles(1, 1_000);
  const second = await audit(database);
  deepStrictEqual(countOf(second, "cycle"), {
    ...NOTHING,
    found: 1_000,
    new: 1_000,
    kept: 1_000,
    complete: false,
  });

  await sql`delete from lot_genealogy where parent_lot_id = ${id(2)} or child_lot_id = ${id(2)}`;
  const third = await audit(database);
  deepStrictEqual(countOf(third, "cycle"), {
    ...NOTHING,
    found: 1_000,
    still_there: 999,
    unknown: 1,
    gone: 1,
    kept: 1_000,
  });
});
