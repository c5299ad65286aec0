import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import postgres from "postgres";
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

/** The lots that README and contract name, and the two with a mistake. */
const WEEK = `
  create view named as
  select * from lots
  where lot_code in ('RAW-BEEF-001', 'RAW-SPICE-001', 'MIX-BATCH-88', 'FG-DONER-X1');
  create view week as
  select * from lots where id not in (select id from named) order by lot_code;
  create view mistaken as
  select * from week where lot_type = 'BULK' and weight_kg > 5000
    or lot_type = 'FRZ' and temperature_c > -18;
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

  await t.step("the lots that README and contract name are there, and their links", async () => {
    const links = await sql`
      select parent.lot_code as parent, quantity_used_kg::float as kg, child.lot_code as child
      from lot_genealogy join named parent on parent.id = parent_lot_id
      join named child on child.id = child_lot_id order by linked_at, parent.lot_code`;
    deepStrictEqual(links.map(({ parent, kg, child }) => [parent, kg, child]), [
      ["RAW-BEEF-001", 500, "MIX-BATCH-88"],
      ["RAW-SPICE-001", 40, "MIX-BATCH-88"],
      ["MIX-BATCH-88", 530, "FG-DONER-X1"],
    ]);
  });

  await t.step("every row is complete, and nothing in it looks like a test", async () => {
    const odd = await sql`
      select lot_code from lots
      where num_nulls(lot_type, production_run_id, phase_id, operator_id, weight_kg, temperature_c)
          > 0
        or metadata = '{}' or weight_kg <= 0 or lots::text ~* 'test|example|foo|\\?\\?'`;
    deepStrictEqual([...odd], []);
    const people = await sql`select email from users where full_name is null or role is null`;
    deepStrictEqual([...people], []);
    const [products] = await sql`
      select count(distinct metadata->>'product')::int as products,
        count(distinct metadata->>'supplier')::int as suppliers from lots`;
    ok(products?.products > 6 && products?.suppliers > 6);
  });

  await t.step("two mistakes are there for an audit to find", async () => {
    const found = await sql`select lot_type from mistaken order by lot_type`;
    deepStrictEqual(found.map(({ lot_type }) => lot_type), ["BULK", "FRZ"]);
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
        from week join link on child_lot_id = week.id
        where week.id not in (select id from mistaken) group by lot_code, lot_type, weight_kg
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
      and id not in (select lot_id from qc_decisions where decision = 'FAIL')
      and id not in (select id from mistaken)`;
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

const NIGHT = new Date("2026-01-18T03:00:00Z");

Deno.test("the same moment makes the same rows, also at night", async () => {
  const digest = (sql: postgres.Sql) =>
    sql`
      select md5(string_agg(row::text, '' order by row::text)) as digest, count(*)::int as count
      from (select lots::text from lots union all select lot_genealogy::text from lot_genealogy
        union all select qc_decisions::text from qc_decisions
        union all select production_runs::text from production_runs) as rows(row)`;
  await using first = await filledPlant(NIGHT);
  await using second = await filledPlant(NIGHT);
  const [one] = await digest(first.sql);
  deepStrictEqual([...await digest(second.sql)], [one]);
  ok(one?.count > 5000);
});
