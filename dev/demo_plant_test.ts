import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import postgres from "postgres";
import { loadSeed } from "./seed.ts";
import { migrate } from "../db/migrate.ts";
import { fillDemoPlant } from "./demo_plant.ts";
import { startPostgres } from "./postgres.ts";

const NOW = new Date("2026-03-13T17:30:00Z");

/** A migrated database, filled as of a moment. */
async function filledPlant(now: Date): Promise<AsyncDisposable & { sql: postgres.Sql }> {
  const path = await Deno.makeTempDir({ prefix: "lotline-plant-" });
  const server = await startPostgres({
    major: 17,
    dataDir: `${path}/db`,
    settings: { fsync: "off" },
  });
  await migrate(server.url, () => {});
  const sql = postgres(server.url, { max: 2, onnotice: () => {} });
  await fillDemoPlant(sql, now);
  return {
    sql,
    async [Symbol.asyncDispose]() {
      await sql.end();
      await server.stop();
      await Deno.remove(path, { recursive: true });
    },
  };
}

// The seed's lots are deliberate edge cases; the week's lots are those with a production run of it.
const WEEK = `
  create view week as
  select lots.* from lots join production_runs on production_runs.id = production_run_id
  where started_at > '2026-03-01' order by lot_code;
  create view link as
  select lot_genealogy.*, parent.lot_type as parent_type, child.lot_type as child_type,
    parent.created_at as parent_at, child.created_at as child_at
  from lot_genealogy
  join week parent on parent.id = parent_lot_id join week child on child.id = child_lot_id;
  create view latest as
  select distinct on (lot_id) * from qc_decisions where lot_id in (select id from week)
  order by lot_id, decided_at desc`;

Deno.test("the demo plant is a plausible week", async (t) => {
  await using plant = await filledPlant(NOW);
  const { sql } = plant;
  await sql.unsafe(WEEK);

  await t.step("every seed row is there unchanged", async () => {
    for (const [table, rows] of Object.entries(await loadSeed())) {
      const [found] = await sql`
        select count(*)::int as count from ${sql(table)} where id in ${sql(rows.map((r) => r.id))}`;
      strictEqual(found?.count, rows.length, table);
    }
    const [lot] = await sql`select weight_kg::text as kg from lots where lot_code = 'MIX-BATCH-88'`;
    strictEqual(lot?.kg, "540.0");
  });

  await t.step("it has some thousands of lots, of every type, on each of seven days", async () => {
    const [total] = await sql`select count(*)::int as lots from week`;
    ok(total?.lots >= 3000 && total?.lots <= 5000, `${total?.lots} lots`);
    const types = await sql`select lot_type, count(distinct created_at::date)::int as days
      from week group by lot_type order by lot_type`;
    deepStrictEqual(
      types.map(({ lot_type, days }) => [lot_type, days]),
      ["BULK", "DEB", "FG", "FRZ", "MIX", "RAW", "SKW"].map((type) => [type, 7]),
    );
    const odd = await sql`select lot_code from week
      where lot_code !~ '^(RAW|DEB|BULK|MIX|SKW|FRZ|FG)-202603\\d\\d-(DUNA|TISZA|MAROS)-\\d{4}$'
         or lot_code not like lot_type || '-%'`;
    deepStrictEqual([...odd], []);
  });

  await t.step("nothing happens after now, and no lot is older than its parents", async () => {
    const [late] = await sql`
      select (select count(*) from week where created_at > ${NOW})::int as lots,
             (select count(*) from qc_decisions where decided_at > ${NOW})::int as decisions,
             (select count(*) from link where child_at <= parent_at)::int as links,
             (select count(*) from production_runs where started_at > ${NOW})::int as runs`;
    deepStrictEqual({ ...late }, { lots: 0, decisions: 0, links: 0, runs: 0 });
  });

  await t.step("every lot but received material has parents, of the step before", async () => {
    const orphans = await sql`
      select lot_code from week where lot_type <> 'RAW'
      and not exists (select from link where child_lot_id = week.id)`;
    deepStrictEqual([...orphans], []);
    const steps = await sql`
      select distinct parent_type || ' → ' || child_type as step from link order by step`;
    deepStrictEqual(steps.map(({ step }) => step), [
      "BULK → MIX",
      "DEB → BULK",
      "FRZ → FG",
      "MIX → SKW",
      "RAW → DEB",
      "RAW → MIX",
      "SKW → FRZ",
    ]);
  });

  await t.step("no lot supplies more than it weighs, or weighs more than its inputs", async () => {
    const overdrawn = await sql`
      select lot_code from week join link on parent_lot_id = week.id
      group by week.lot_code, weight_kg having sum(quantity_used_kg) > weight_kg`;
    deepStrictEqual([...overdrawn], []);
    const yields = await sql`
      select lot_type, min(yield)::float as least, max(yield)::float as most from (
        select lot_type, weight_kg / sum(quantity_used_kg) as yield
        from week join link on child_lot_id = week.id group by lot_code, lot_type, weight_kg
      ) lots group by lot_type`;
    strictEqual(yields.length, 6);
    for (const { lot_type, least, most } of yields) {
      ok(least > (lot_type === "DEB" ? 0.7 : 0.97), `${lot_type} yields ${least} at least`);
      ok(most <= 1, `${lot_type} yields ${most} at most`);
    }
  });

  await t.step("no lot is its own ancestor", async () => {
    const [cycles] = await sql`
      with recursive line(start, id) as (
        select parent_lot_id, child_lot_id from link
        union select line.start, link.child_lot_id from line join link on parent_lot_id = line.id
      ) select count(*)::int as count from line where start = id`;
    strictEqual(cycles?.count, 0);
  });

  await t.step("frozen goods are frozen and meat is chilled", async () => {
    const warm = await sql`
      select lot_code, temperature_c from week
      where not case
        when lot_type in ('FRZ', 'FG') then temperature_c between -25 and -18
        when metadata->>'material' in ('döner spice', 'sunflower oil')
          then temperature_c between 15 and 22
        else temperature_c between -2 and 7 end
      and id not in (select lot_id from qc_decisions where decision = 'FAIL')`;
    deepStrictEqual([...warm], []);
  });

  await t.step("one delivery failed and was never used", async () => {
    const failed = await sql`
      select lot_type, notes, (select count(*) from link where parent_lot_id = lot_id)::int as used
      from qc_decisions join week on week.id = lot_id where decision = 'FAIL'`;
    deepStrictEqual(failed.map(({ lot_type, used }) => [lot_type, used]), [["RAW", 0]]);
    ok(failed[0]?.notes.includes("9.1 °C"));
  });

  await t.step("one lot is on hold although finished goods were made from it", async () => {
    const held = await sql`
      with recursive below(held, id) as (
        select lot_id, lot_id from latest where decision = 'HOLD'
        union select held, child_lot_id from below join link on parent_lot_id = below.id
      )
      select lot_code, count(*) filter (where week.lot_type = 'FG')::int as finished
      from below join week on week.id = below.id
      join lateral (select lot_code as code from week where id = held) origin on true
      group by origin.code, lot_code having count(*) filter (where week.lot_type = 'FG') > 0`;
    ok(held.length > 5, `${held.length} finished goods`);
    const holds = await sql`
      select lot_type from latest join week on week.id = lot_id
      where decision = 'HOLD' and exists (select from link where parent_lot_id = lot_id)`;
    deepStrictEqual(holds.map(({ lot_type }) => lot_type), ["RAW"]);
    const [passed] = await sql`
      select count(*) filter (where earlier.decision = 'HOLD')::int as released,
        count(*)::int as all
      from latest left join qc_decisions earlier
        on earlier.lot_id = latest.lot_id and earlier.decided_at < latest.decided_at
      where latest.decision = 'PASS'`;
    ok(
      passed && passed.released > 10 && passed.released * 20 < passed.all,
      String(passed?.released),
    );
  });

  await t.step("a second call changes nothing", async () => {
    const counts = () =>
      sql`select (select count(*) from lots)::int as lots,
      (select count(*) from lot_genealogy)::int as links,
      (select count(*) from qc_decisions)::int as decisions`;
    const [before] = await counts();
    await fillDemoPlant(sql, new Date());
    deepStrictEqual((await counts())[0], before);
  });
});

// The seed has runs and lots of its own on these days.
const SEED_DAY = new Date("2026-01-18T03:00:00Z");

Deno.test("the same moment makes the same rows, at night and with the seed's own codes", async () => {
  const digest = (sql: postgres.Sql) =>
    sql`
      select md5(string_agg(row::text, '' order by row::text)) as digest, count(*)::int as count
      from (select lots::text from lots union all select lot_genealogy::text from lot_genealogy
        union all select qc_decisions::text from qc_decisions
        union all select production_runs::text from production_runs) as rows(row)`;
  await using first = await filledPlant(SEED_DAY);
  await using second = await filledPlant(SEED_DAY);
  const [one] = await digest(first.sql);
  deepStrictEqual([...await digest(second.sql)], [one]);
  ok(one?.count > 5000);
});
