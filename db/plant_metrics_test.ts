import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { audit, buildPlant } from "../testing/audited_plant.ts";
import { freshDatabase, type TestDatabase } from "../testing/database.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import { eventually } from "../testing/eventually.ts";
import { named, valuesOf } from "../testing/series.ts";
import { plantMetrics } from "./plant_metrics.ts";

/** Reads both parts as a worker that has just started. */
async function read({ url }: TestDatabase) {
  const parts = plantMetrics({ databaseUrl: url, schedule: ["upkeep", "audit"] });
  return valuesOf((await Promise.all(parts.map(({ text }) => text()))).join("\n"));
}

for (const major of [15, 17] as const) {
  Deno.test(`lots and QC decisions are counted by bounded labels (PostgreSQL ${major})`, async () => {
    await using database = await freshDatabase({ major });
    const { sql } = database;
    await buildPlant(sql, {
      lots: { A: {}, B: {}, C: { type: "FG" }, D: { type: null } },
      decisions: [["A", "PASS", null], ["A", "HOLD", null], ["C", "PASS", null], ["D", null, null]],
    });
    // An old database may lack the checks.
    await sql`alter table lots drop constraint lots_lot_type_check`;
    await sql`alter table qc_decisions drop constraint qc_decisions_decision_check`;
    await sql`insert into lots (lot_code, lot_type) values ('E', 'Sausage'), ('F', 'Ham')`;
    await sql`insert into qc_decisions (decision) values ('MAYBE')`;
    const values = await read(database);
    deepStrictEqual(named(values, "lotline_lots"), {
      'lotline_lots{lot_type="RAW"}': 2,
      'lotline_lots{lot_type="DEB"}': 0,
      'lotline_lots{lot_type="BULK"}': 0,
      'lotline_lots{lot_type="MIX"}': 0,
      'lotline_lots{lot_type="SKW"}': 0,
      'lotline_lots{lot_type="FRZ"}': 0,
      'lotline_lots{lot_type="FG"}': 1,
      'lotline_lots{lot_type="none"}': 1,
      'lotline_lots{lot_type="other"}': 2,
    });
    deepStrictEqual(named(values, "lotline_qc_decisions"), {
      'lotline_qc_decisions{decision="PASS"}': 2,
      'lotline_qc_decisions{decision="HOLD"}': 1,
      'lotline_qc_decisions{decision="FAIL"}': 0,
      'lotline_qc_decisions{decision="none"}': 1,
      'lotline_qc_decisions{decision="other"}': 1,
    });
    isNow(values["lotline_plant_counted_timestamp_seconds"]);
  });

  Deno.test(`what was never done says nothing, and what was done says when (PostgreSQL ${major})`, async () => {
    await using database = await freshDatabase({ major });
    const { sql } = database;
    await buildPlant(sql, { lots: { A: { kg: null } }, links: [["A", "A"]] });
    const before = await read(database);
    deepStrictEqual(
      Object.keys(before).filter((key) => /audit|backup|archive|schedule/.test(key)),
      [],
    );
    ok((before["lotline_database_bytes"] ?? 0) > 1_000_000);

    await audit(database);
    await buildPlantAgainWithoutFault(database);
    await audit(database);
    // One that is not whole doesn't count.
    await sql`insert into lotline.audits (job_id) values (gen_random_uuid())`;
    await sql`select lotline.note_backup()`;
    await sql`insert into lotline.cron_runs (name, slot) values
      ('audit', '2026-03-04T02:00Z'), ('audit', '2026-03-05T02:00Z'), ('audit once more', now())`;
    const after = await read(database);
    strictEqual(after['lotline_audit_findings{check="self_link"}'], 0);
    strictEqual(after['lotline_audit_findings{check="missing_weight"}'], 1);
    isNow(after["lotline_audit_last_run_timestamp_seconds"]);
    isNow(after["lotline_backup_last_timestamp_seconds"]);
    deepStrictEqual(named(after, "lotline_schedule_last_run_timestamp_seconds"), {
      'lotline_schedule_last_run_timestamp_seconds{task="audit"}': Date.UTC(2026, 2, 5, 2) / 1_000,
    });
  });
}

Deno.test("scrapers share one count, and get it at once while the next one is under way", async () => {
  await using database = await freshDatabase();
  const { sql, url } = database;
  let now = 0;
  const [, plant] = plantMetrics({ databaseUrl: url, schedule: [], now: () => now });
  const lots = async () => valuesOf(await plant?.text() ?? "")['lotline_lots{lot_type="none"}'];
  deepStrictEqual(await Promise.all([lots(), lots()]), [undefined, undefined]);
  await sql`insert into lots (lot_code) values ('A')`;
  now = 299_999;
  strictEqual(await lots(), undefined);
  {
    await using _held = await openTransaction(sql, "lock lots");
    now = 300_000;
    // The count waits for the lock.
    strictEqual(await lots(), undefined);
  }
  await eventually("the next count is shown", async () => await lots() === 1);
});

Deno.test("a count that fails is tried again after a minute, and until then nothing is shown", async () => {
  await using database = await freshDatabase();
  const { sql, url } = database;
  let now = 0;
  const [, plant] = plantMetrics({ databaseUrl: url, schedule: [], now: () => now });
  const text = async () => await plant?.text() ?? "";
  await text();
  await sql`alter table lots rename to lots_away`;
  now = 300_000;
  await text();
  await eventually("it has failed", () => text().then(() => false, () => true));
  await rejects(text, /relation "lots" does not exist/);
  await sql`alter table lots_away rename to lots`;
  now = 359_999;
  await rejects(text);
  now = 360_000;
  match(await text(), /^lotline_lots\{lot_type="RAW"\} 0$/m);
});

Deno.test("only who may read all tables, and the owner, may note a backup", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const [{ plain, reader } = {}] = await sql<{ plain: boolean; reader: boolean }[]>`
    select has_function_privilege('pg_monitor', 'lotline.note_backup()', 'execute') as plain,
      has_function_privilege('pg_read_all_data', 'lotline.note_backup()', 'execute') as reader`;
  deepStrictEqual([plain, reader], [false, true]);
});

/** The same plant, whose lot isn't linked to itself. */
async function buildPlantAgainWithoutFault({ sql }: TestDatabase): Promise<void> {
  await sql`truncate lots, lot_genealogy, qc_decisions`;
  await sql`insert into lots (lot_code, lot_type) values ('A', 'RAW')`;
}

function isNow(seconds: number | undefined): void {
  const ago = Date.now() / 1_000 - (seconds ?? NaN);
  ok(ago > -60 && ago < 600, `${ago} s ago`);
}
