import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { connect } from "../../db/connect.ts";
import type { Sql } from "../../db/sql.ts";
import { openLinkTo } from "../../testing/black_hole.ts";
import { freshDatabase, type TestDatabase } from "../../testing/database.ts";
import { eventually } from "../../testing/eventually.ts";
import { differenceAt, findingOf, routeIn } from "../testing/findings.ts";
import { givenRoute } from "../testing/route_history.ts";
import { openTransaction } from "../../testing/open_transaction.ts";
import { type CollectorTrouble, startCollector } from "./collector.ts";
import { MAX_DIFFERENCES, storeBatch } from "./evidence_table.ts";
import { listSeenClients } from "../routes/route_clients.ts";
import { listCases } from "../rollout/verdict_cases.ts";
import { createRedactor } from "../redact/redact.ts";
import { DRY_RUN_SECRET } from "../testing/shadow_rig.ts";
import { createCounters } from "./counters.ts";

const collectInto = (
  database: Pick<TestDatabase, "url">,
  options: Partial<Parameters<typeof startCollector>[0]> = {},
) =>
  startCollector({
    databaseUrl: database.url,
    redactor: createRedactor(DRY_RUN_SECRET),
    log: () => {},
    ...options,
  });

const shared = await freshDatabase();
Deno.test.afterAll(async () => await shared[Symbol.asyncDispose]());

/** The database that most tests here share, without evidence. */
async function emptied(): Promise<TestDatabase> {
  await shared.sql`truncate lotline.route_answers, lotline.route_outcomes, lotline.route_coverage,
    lotline.route_clients, lotline.differences`;
  return shared;
}

const responsesIn = async (sql: Sql) => [
  ...await sql`
    select operation, side, epoch, sum(requests)::int as requests,
      sum(server_errors)::int as errors, sum(silences)::int as silences,
      lotline.sum_counts(latencies) as latencies
    from lotline.route_answers group by 1, 2, 3 order by 1, 2, 3`,
];

const requestsIn = async (sql: Sql) => {
  const [row] = await sql<{ requests: number }[]>`
    select coalesce(sum(requests), 0)::int as requests from lotline.route_answers`;
  return row?.requests;
};

for (const major of [17, 15] as const) {
  Deno.test(`the counts of two processes add up (PostgreSQL ${major})`, async () => {
    await using database = await freshDatabase({ major });
    await using one = collectInto(database);
    await using other = collectInto(database);
    const route = routeIn("createLot", 2);
    for (const collector of [one, other]) {
      for (const status of [201, 500, 0]) {
        collector.responded("createLot", route, "service", status, 10);
      }
      collector.responded("createLot", route, "legacy", 201, 100);
      collector.found(findingOf("createLot", 2, "approved", ["a-1"]));
      collector.found(findingOf("createLot", 2, "same"));
    }
    deepStrictEqual(await Promise.all([one.flush(), other.flush()]), [true, true]);
    one.responded("createLot", route, "service", 201, 100);
    strictEqual(await one.flush(), true);
    deepStrictEqual(await responsesIn(database.sql), [
      {
        operation: "createLot",
        side: "legacy",
        epoch: 2,
        requests: 2,
        errors: 0,
        silences: 0,
        latencies: { "94": 2 },
      },
      {
        operation: "createLot",
        side: "service",
        epoch: 2,
        requests: 7,
        errors: 2,
        silences: 2,
        latencies: { "47": 4, "94": 1 },
      },
    ]);
    const outcomes = await database.sql`
      select outcome, approval, sum(count)::int as count from lotline.route_outcomes
      where operation = 'createLot' and epoch = 2 group by 1, 2 order by 1, 2`;
    deepStrictEqual([...outcomes], [
      { outcome: "approved", approval: "", count: 2 },
      { outcome: "approved", approval: "a-1", count: 2 },
      { outcome: "same", approval: "", count: 2 },
    ]);
  });
}

Deno.test("evidence is stored by itself, under the minute of its event", async () => {
  const database = await emptied();
  await using collector = collectInto(database);
  collector.responded("login", routeIn("login", 1), "legacy", 200, 5);
  await eventually("it is stored", async () => await requestsIn(database.sql) === 1);
  const [row] = await database.sql<{ age: number }[]>`
    select extract(epoch from now() - minute)::int as age from lotline.route_answers`;
  ok(row !== undefined && row.age >= 0 && row.age < 120, String(row?.age));
});

Deno.test("counts of two local minutes that are one by PostgreSQL's clock are one row", async () => {
  const database = await emptied();
  let now = performance.now() - 100;
  const counters = createCounters(() => now);
  counters.responded("login", routeIn("login", 1), "legacy", 200, 5);
  const { responses: [first] } = counters.take();
  now += 60_000;
  counters.responded("login", routeIn("login", 1), "legacy", 200, 5);
  const { responses: [second] } = counters.take();
  ok(first !== undefined && second !== undefined);
  const responses = [first, { ...second, at: first.at }];
  const batch = {
    collector: crypto.randomUUID(),
    number: 1,
    responses,
    clients: [],
    outcomes: [],
    coverage: [],
    unknown: [],
    differences: [],
  };
  await storeBatch(database.sql, batch);
  strictEqual(await requestsIn(database.sql), 2);
});

for (const major of [17, 15] as const) {
  Deno.test(`clients of two processes add up, each bucket once (PostgreSQL ${major})`, async () => {
    await using database = await freshDatabase({ major });
    const { sql } = database;
    await using one = collectInto(database);
    await using other = collectInto(database);
    const epoch = await givenRoute(sql, "login", { name: "canary", percent: 1 });
    const route = routeIn("login", epoch);
    for (const bucket of [0, 99, 5]) one.served("login", route, "service", bucket);
    for (const bucket of [99, 7]) other.served("login", route, "service", bucket);
    for (const bucket of [100, 5_000, 9_999, 9_999]) other.served("login", route, "legacy", bucket);
    // Moved for some requests, one of which the old server responded to when Lotline was unavailable.
    one.served("login", route, "legacy", 5);
    one.served("login", routeIn("login", epoch - 1), "service", 42);
    deepStrictEqual(await Promise.all([one.flush(), other.flush()]), [true, true]);
    one.served("login", route, "service", 99);
    strictEqual(await one.flush(), true);
    const [seen] = await listSeenClients(sql);
    ok(seen !== undefined);
    const share = { requests: 11, movedRequests: 6, clients: 7, movedClients: 4 };
    deepStrictEqual(seen.share, share);
    deepStrictEqual((await listCases(sql))[0]?.evidence.share, share);
    deepStrictEqual([0, 1, 2, 50, 51, 99, 100].map((percent) => seen.below[percent]), [
      0,
      4,
      5,
      5,
      6,
      6,
      7,
    ]);
  });
}

Deno.test("evidence that could not be stored for an hour keeps the minute of its event", async () => {
  const database = await emptied();
  const at = performance.now() - 3_600_000;
  const counters = createCounters(() => at);
  counters.responded("login", routeIn("login", 1), "legacy", 200, 5);
  counters.found(findingOf("login", 1, "same"));
  const collector = crypto.randomUUID();
  await storeBatch(database.sql, { collector, number: 1, ...counters.take(), differences: [] });
  const ages = await database.sql<{ age: number }[]>`
    select extract(epoch from now() - minute)::int as age
    from (
      select minute from lotline.route_answers union all select minute from lotline.route_outcomes
    ) minutes`;
  strictEqual(ages.length, 2);
  for (const { age } of ages) ok(age >= 3_600 && age < 3_720, String(age));
});

Deno.test("a batch that is sent again counts once, even while the first is in flight", async () => {
  const database = await emptied();
  const { sql } = database;
  const counters = createCounters();
  counters.responded("login", routeIn("login", 1), "legacy", 200, 5);
  const batch = {
    collector: crypto.randomUUID(),
    number: 1,
    ...counters.take(),
    differences: [],
  };
  await Promise.all([storeBatch(sql, batch), storeBatch(sql, batch), storeBatch(sql, batch)]);
  await storeBatch(sql, batch);
  strictEqual(await requestsIn(sql), 1);
  await storeBatch(sql, { ...batch, number: 2 });
  await storeBatch(sql, batch);
  strictEqual(await requestsIn(sql), 2);
});

Deno.test("a batch with a lost acknowledgement counts once, and so does later evidence", async () => {
  const database = await emptied();
  await using link = await openLinkTo(database.url);
  await using collector = collectInto({ url: link.url });
  const count = () => collector.responded("login", routeIn("login", 1), "legacy", 200, 5);
  count();
  strictEqual(await collector.flush(), true);

  // It waits for the lock, the link is cut, and then it is stored without an acknowledgement.
  await using lock = await openTransaction(
    database.sql,
    "lock table lotline.route_answers in exclusive mode",
  );
  count();
  const lost = collector.flush();
  await eventually("it waits", async () => {
    const waiting = await database.sql`
      select from pg_stat_activity
      where application_name = 'lotline-gateway-evidence' and wait_event_type = 'Lock'
        and datname = current_database()`;
    return waiting.count > 0;
  });
  link.swallow();
  await lock.commit();
  await eventually("it is stored", async () => await requestsIn(database.sql) === 2);
  count();
  strictEqual(await lost, false);
  link.heal();
  await eventually("it is through", async () => await collector.flush());
  strictEqual(await requestsIn(database.sql), 3);
});

Deno.test("while PostgreSQL is unavailable counts wait, and are stored when it is back", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const lines: string[] = [];
  const troubles: CollectorTrouble[] = [];
  await using collector = collectInto(database, {
    log: (_, line) => lines.push(line),
    onTrouble: (trouble) => troubles.push(trouble),
  });
  const name = new URL(database.url).pathname.slice(1);
  const outside = new URL(database.url);
  outside.pathname = "/postgres";
  const admin = connect({ url: outside.href, max: 1 });
  await admin`alter database ${admin(name)} allow_connections false`;
  await admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`;
  for (let i = 0; i < 3; i++) {
    collector.responded("login", routeIn("login", 1), "legacy", 200, 5);
    collector.found(differenceAt("status"));
    strictEqual(await collector.flush(), false);
  }
  await admin`alter database ${admin(name)} allow_connections true`;
  await admin.end();
  await eventually("it is stored", async () => await collector.flush());
  strictEqual(await requestsIn(sql), 3);
  strictEqual((await sql`select from lotline.differences`).count, 3);
  deepStrictEqual(lines, ["evidence_delayed", "evidence_recovered"]);
  ok(troubles.length >= 3 && troubles.every((trouble) => trouble === "flush"), troubles.join());
});

Deno.test("counts that PostgreSQL refuses don't block others", async () => {
  const database = await emptied();
  const troubles: CollectorTrouble[] = [];
  await using collector = collectInto(database, { onTrouble: (trouble) => troubles.push(trouble) });
  collector.responded("login", routeIn("login", 2 ** 40), "legacy", 200, 5);
  strictEqual(await collector.flush(), true);
  collector.responded("login", routeIn("login", 1), "legacy", 200, 5);
  strictEqual(await collector.flush(), true);
  strictEqual(await requestsIn(database.sql), 1);
  deepStrictEqual(troubles, ["dropped"]);
});

Deno.test("of counts that PostgreSQL refuses, the number of due comparisons is kept", async () => {
  const database = await emptied();
  await using collector = collectInto(database);
  const route = routeIn("login", 1);
  collector.responded("login", routeIn("login", 2 ** 40), "legacy", 200, 5);
  for (let i = 0; i < 3; i++) {
    collector.covered("login", route, "due");
    collector.found(findingOf("login", 1, "same"));
  }
  collector.found({ ...findingOf("login", 1, "lost"), cause: "size" });
  strictEqual(await collector.flush(), true);
  strictEqual((await database.sql`select from lotline.route_outcomes`).count, 0);
  const covered = await database.sql`select epoch, what, count::int from lotline.route_coverage`;
  deepStrictEqual([...covered], [{ epoch: 1, what: "due", count: 3 }]);
  collector.covered("login", routeIn("login", 2 ** 40), "due");
  strictEqual(await collector.flush(), true);
});

Deno.test("disposing stores the rest", async () => {
  const database = await emptied();
  const collector = collectInto(database);
  collector.responded("login", routeIn("login", 1), "legacy", 200, 5);
  await collector[Symbol.asyncDispose]();
  strictEqual(await requestsIn(database.sql), 1);
});

Deno.test("a difference of any content is stored, with the compared exchange", async () => {
  const database = await emptied();
  await using collector = collectInto(database);
  collector.found(differenceAt("body.a\0b\ud800", { body: "\0{}", epoch: 7 }));
  const { exchange: _, ...bare } = differenceAt("status");
  collector.found(bare);
  strictEqual(await collector.flush(), true);
  const kept = await database.sql`
    select operation, epoch, mode, outcome, request, legacy, service, differences
    from lotline.differences order by id`;
  const response = {
    status: 200,
    headers: [["content-type", "application/json"]],
    body: "�{}",
    ms: 3,
  };
  deepStrictEqual([...kept], [{
    operation: "getTraceability",
    epoch: 7,
    mode: "shadow",
    outcome: "different",
    request: {
      method: "GET",
      target: "/api/traceability/A?x=1",
      headers: [["host", "plant"]],
      body: "",
    },
    legacy: response,
    service: response,
    differences: [{ place: "body.a�b�", legacy: "540.0", service: "540" }],
  }, {
    operation: "getTraceability",
    epoch: 1,
    mode: "shadow",
    outcome: "different",
    request: null,
    legacy: null,
    service: null,
    differences: [{ place: "status", legacy: "540.0", service: "540" }],
  }]);
});

Deno.test("20 differences of a kind are stored a day by all processes together; all are counted", async () => {
  const database = await emptied();
  const { sql } = database;
  const kept = async () => (await sql`select from lotline.differences`).count;
  await using one = collectInto(database);
  await using other = collectInto(database);
  for (let i = 0; i < 30; i++) {
    one.found(differenceAt(`body.parents[${i}].weight_kg`));
    if (i < 15) other.found(differenceAt("body.parents[0].weight_kg"));
  }
  await one.flush();
  await other.flush();
  strictEqual(await kept(), 20, "which of the links it was makes no other kind");
  await using later = collectInto(database);
  // More waiting differences of one kind than allowed don't block another kind.
  for (let i = 0; i < 150; i++) later.found(differenceAt("body.parents[0].weight_kg"));
  later.found(differenceAt("body.children[0].weight_kg"));
  await later.flush();
  strictEqual(await kept(), 21);
  const [counted] = await sql`select sum(count)::int as count from lotline.route_outcomes`;
  strictEqual(counted?.count, 196);
  await sql`update lotline.differences set at = at - interval '1 day'`;
  await using nextDay = collectInto(database);
  nextDay.found(differenceAt("body.parents[0].weight_kg"));
  await nextDay.flush();
  strictEqual(await kept(), 22);
});

Deno.test("many kinds at a time use only a bounded part of memory and of the table", async () => {
  const database = await emptied();
  const { sql } = database;
  const troubles: CollectorTrouble[] = [];
  await sql`
    insert into lotline.differences (at, operation, epoch, mode, outcome, fingerprint, differences)
    select now(), 'login', 1, 'shadow', 'different', n::text, '[]'
    from generate_series(1, ${MAX_DIFFERENCES}::int) n`;
  await using collector = collectInto(database, {
    onTrouble: (trouble) => troubles.push(trouble),
  });
  for (let i = 0; i < 500; i++) collector.found(differenceAt(`body.field_${i}_`));
  await collector.flush();
  const [row] = await sql`
    select count(*)::int as kept, count(*) filter (where operation <> 'login')::int as fresh
    from lotline.differences`;
  deepStrictEqual(row, { kept: MAX_DIFFERENCES, fresh: 100 });
  deepStrictEqual(troubles, Array(400).fill("difference"));
});
