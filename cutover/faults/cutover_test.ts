import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { connect } from "../../db/connect.ts";
import type { Sql } from "../../db/sql.ts";
import { migrate } from "../../db/migrate.ts";
import { delay } from "../../timing.ts";
import type { Thresholds } from "../rollout/thresholds.ts";
import { isSafeOperation, LEGACY_OPERATIONS } from "../exchange/operations.ts";
import { freePort } from "../../dev/free_port.ts";
import { freshDatabase } from "../../testing/database.ts";
import { findPlan, insertPlan } from "../rollout/plans_table.ts";
import { startGateway, type TestGateway } from "../testing/gateway.ts";
import { startCutover } from "../testing/cutover.ts";
import { eventually } from "../../testing/eventually.ts";
import { type SpoiledResponse, startFaultyService } from "../../testing/faulty_service.ts";
import { startLegacyProcess } from "../testing/legacy_process.ts";
import { type Counts, MAX_IN_FLIGHT, startPlantClients } from "../testing/plant_clients.ts";
import { ownPostgres } from "../../testing/postgres_servers.ts";

const PER_SECOND = 200;
const STEP_MS = 1_000;
/**
 * Five times the promised time: on a busy machine evidence comes late, and nothing rolls back
 * without cause.
 */
const LATE_MS = 10_000;
/** Of each operation in each step. */
const MIN = 10;

interface OutcomeCount {
  readonly operation: string;
  readonly outcome: string;
  readonly count: number;
}

const countOutcomes = (sql: Sql): Promise<OutcomeCount[]> =>
  sql<OutcomeCount[]>`
    select operation, outcome, sum(count)::int as count from lotline.route_outcomes
    where approval = '' group by operation, outcome order by operation, outcome`;

/** For each operation, how often both responses were the same or differed as approved. */
async function countCompared(sql: Sql): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (const { operation, outcome, count } of await countOutcomes(sql)) {
    if (outcome !== "same" && outcome !== "approved") continue;
    counts[operation] = (counts[operation] ?? 0) + count;
  }
  return counts;
}

/** How many requests of each operation Lotline has answered. */
const countServed = (sql: Sql): Promise<{ operation: string; count: number }[]> =>
  sql`
    select operation, sum(requests)::int as count from lotline.route_answers
    where side = 'service' group by operation order by operation`;

/** Whether each acknowledged write is stored once, and these clients stored nothing else. */
async function checkStored(sql: Sql, { lots, decisions, uncertain }: Counts): Promise<void> {
  const stored = await sql<{ lot_code: string }[]>`
    select lot_code from lots where lot_code like 'PLANT-%' order by lot_code`;
  const codes = stored.map(({ lot_code }) => lot_code);
  const certain = codes.filter((code) => !uncertain.includes(code));
  deepStrictEqual(certain, [...lots].sort());
  const notes = await sql<{ notes: string; times: number }[]>`
    select notes, count(*)::int as times from qc_decisions where notes like 'PLANT-%'
    group by notes order by notes`;
  const doubled = notes.filter(({ times }) => times !== 1);
  deepStrictEqual(doubled, []);
  const seen = new Set(notes.map((row) => row.notes));
  deepStrictEqual(decisions.filter((one) => !seen.has(one)), []);
}

Deno.test("all routes move to Lotline and back under load: no request fails, every write is stored once, nothing differs", async () => {
  await using cutover = await startCutover({ gateways: 2 });
  const { sql } = cutover.database;
  const urls = cutover.gateways.map(({ url }) => url);
  await using clients = startPlantClients(urls, { perSecond: PER_SECOND });
  await delay(1_000);
  deepStrictEqual([...await countServed(sql)], [], "Lotline received requests too early");

  const steps = [
    { name: "shadow" },
    { name: "canary", percent: 1 },
    { name: "canary", percent: 50 },
    { name: "service" },
  ] as const;
  for (const mode of steps) {
    const earlier = await countCompared(sql);
    await cutover.set(mode);
    await delay(STEP_MS);
    // In "service" a write is Lotline's alone.
    const compared = LEGACY_OPERATIONS.filter((one) =>
      mode.name !== "service" || isSafeOperation(one)
    );
    await eventually(`enough of all is compared in ${mode.name}`, async () => {
      const now = await countCompared(sql);
      return compared.every((one) => (now[one] ?? 0) >= (earlier[one] ?? 0) + MIN);
    });
  }
  const before = await countServed(sql);
  await cutover.set({ name: "legacy" });
  await delay(1_000);
  const tally = await clients.stop();

  deepStrictEqual(tally.failures, []);
  ok(tally.requests > 500, `only ${tally.requests} requests were sent`);
  await checkStored(sql, tally);
  const outcomes = await countOutcomes(sql);
  const count = (name: string) =>
    outcomes.filter(({ outcome }) => outcome === name).reduce((sum, one) => sum + one.count, 0);
  const report = JSON.stringify(outcomes);
  strictEqual(count("different"), 0, report);
  for (const operation of LEGACY_OPERATIONS) {
    ok(before.some((one) => one.operation === operation && one.count > 20), operation);
  }
});

/** A fault of Lotline, planted between it and the gateway. */
interface Fault {
  readonly name: string;
  readonly why: RegExp;
  /** Other thresholds than the defaults, so that a busy machine finds it too. */
  readonly limits?: Partial<Thresholds>;
  readonly spoil: (response: SpoiledResponse) => SpoiledResponse | Promise<SpoiledResponse>;
}

let requested = 0;
const FAULTS: readonly Fault[] = [
  {
    name: "a wrong scale in one number",
    why: /body\.central\.weight_kg/,
    spoil: (response) => ({
      ...response,
      body: response.body.replace(/("central":\{.*?"weight_kg":")(\d+\.\d)\d*"/, '$1$20"'),
    }),
  },
  {
    name: "a 5xx in one of 50",
    why: /5xx|500|errors/i,
    spoil: (response) => ++requested % 50 === 0 ? { ...response, status: 500 } : response,
  },
  {
    name: "300 ms more",
    why: /p99|slow/i,
    limits: { latency_factor: 1.2, latency_slack_ms: 50 },
    spoil: (response) => delay(300).then(() => response),
  },
];

for (const { name, why, limits, spoil } of FAULTS) {
  Deno.test(`${name} among a tenth of the clients: rolled back within 2 s of the least samples, with the reason`, async () => {
    await using cutover = await startCutover({
      ...limits && { limits },
      serviceUrl: (api) => startFaultyService(api, spoil),
    });
    const { sql } = cutover.database;
    await using clients = startPlantClients(cutover.gateways.map(({ url }) => url), {
      perSecond: PER_SECOND,
    });
    await cutover.set({ name: "canary", percent: 10 }, ["getTraceability"]);
    const [{ least } = { least: NaN }] = await sql<{ least: number }[]>`
      select min_samples::int as least from lotline.cutover_limits order by id desc limit 1`;
    let enoughAt: number | undefined;
    let back: { latch: string } | undefined;
    await eventually("the route is rolled back", async () => {
      const [row] = await sql<{ mode: string; latch: string; samples: number }[]>`
        select mode, latch, (
          select coalesce(sum(requests), 0)::int from lotline.route_answers
          where operation = 'getTraceability' and side = 'service'
        ) as samples
        from lotline.routes where operation = 'getTraceability'`;
      if (row && row.samples >= least) enoughAt ??= performance.now();
      if (row?.mode === "legacy") back = row;
      return back !== undefined;
    });
    const backAt = performance.now();
    match(back?.latch ?? "", why);
    // An obvious fault may be found earlier.
    ok(backAt - (enoughAt ?? backAt) < LATE_MS, `it took ${backAt - (enoughAt ?? backAt)} ms`);
    await clients.stop();
    deepStrictEqual(clients.counts.failures, []);
    await checkStored(sql, clients.counts);
  });
}

Deno.test("Lotline is killed: the old server answers instead, and every acknowledged write is stored once", async () => {
  await using cutover = await startCutover();
  const urls = cutover.gateways.map(({ url }) => url);
  await cutover.set({ name: "service" });
  await using clients = startPlantClients(urls, { perSecond: PER_SECOND });
  await delay(1_000);
  cutover.api.process.kill("SIGKILL");
  await delay(1_500);
  const { failures, ...tally } = await clients.stop();
  // A write that it had begun and not answered has an unknown result: 502, never a second try.
  deepStrictEqual(failures.filter((line) => !line.startsWith("502 instead of 201")), []);
  ok(failures.length <= MAX_IN_FLIGHT, failures.join("\n"));
  ok(tally.lots.length > 20);
  await checkStored(cutover.database.sql, { failures, ...tally });
});

Deno.test("the old server is killed: its routes return 502 and others keep working, until it is back", async () => {
  await using cutover = await startCutover();
  const [gateway] = cutover.gateways;
  ok(gateway);
  await cutover.set({ name: "service" }, ["getTraceability", "login"]);
  const port = Number(new URL(cutover.legacy.url).port);
  cutover.legacy.process.kill("SIGKILL");
  await cutover.legacy.process.status;
  const send = async (path: string) => {
    const response = await fetch(gateway.url + path);
    return { status: response.status, body: await response.json() };
  };
  strictEqual((await send("/api/traceability/MIX-BATCH-88")).status, 200);
  const { status, body } = await send("/api/health");
  deepStrictEqual([status, Object.keys(body)], [502, ["error"]]);
  await using _again = await startLegacyProcess({ databaseUrl: cutover.database.url, port });
  strictEqual((await send("/api/health")).status, 200);
});

Deno.test("a gateway is killed: the other one has the same modes and its plan, nothing is stored twice", async () => {
  await using cutover = await startCutover({ gateways: 2 });
  const { sql } = cutover.database;
  await cutover.set({ name: "canary", percent: 50 });
  const plan = await insertPlan(sql, {
    operations: ["login"],
    options: {
      steps: [{ name: "service" }],
      soakMs: 3_600_000,
      samples: 1,
      patienceMs: 3_600_000,
    },
    note: { who: "test", why: "a plan that waits" },
  });
  const carries = (gateway: TestGateway) =>
    gateway.log.lines.some((line) => line.includes('"event":"plan_taken"'));
  await eventually("a gateway carries out the plan", () => cutover.gateways.some(carries));
  const [first, second] = cutover.gateways.toSorted((gateway) => carries(gateway) ? -1 : 1);
  ok(first && second && !carries(second));
  await using clients = startPlantClients([first.url, second.url], { perSecond: PER_SECOND });
  await delay(1_500);
  first.process.kill("SIGKILL");
  await delay(500);
  const { failures, ...tally } = await clients.stop();
  ok(failures.length > 10, "half of the clients should have noticed");
  ok(failures.every((line) => !/^\d/.test(line)), failures.join("\n"));
  await checkStored(sql, { failures, ...tally });
  strictEqual((await second.modes()).createLot, "canary");
  // As if the rest of its time were over.
  await sql`update lotline.plans set lease_until = now() where id = ${plan}::bigint`;
  await eventually("the other one carries out its plan", () => carries(second));
  strictEqual((await findPlan(sql, plan))?.ended_at, null);
});

Deno.test("PostgreSQL is killed: no process exits, routes go to the old server and return later", async () => {
  await using postgres = await ownPostgres();
  const { server } = postgres;
  await migrate(server.url, () => {});
  const sql = connect({ url: server.url, max: 2 });
  await using database = {
    url: server.url,
    sql,
    [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }),
  };
  await using cutover = await startCutover({ database });
  const [gateway] = cutover.gateways;
  ok(gateway);
  await cutover.set({ name: "canary", percent: 50 });
  await using clients = startPlantClients([gateway.url], { perSecond: 100 });
  await delay(1_000);
  await server.kill();
  await eventually(
    "every route is the old server's",
    async () => Object.values(await gateway.modes()).every((mode) => mode === "legacy"),
  );
  strictEqual((await fetch(`${gateway.url}/api/health`)).status, 200);
  await server.start();
  await eventually(
    "the routes are where they were",
    async () => (await gateway.modes()).getTraceability === "canary",
  );
  await eventually("traces are answered", async () => {
    const response = await fetch(`${gateway.url}/api/traceability/MIX-BATCH-88`);
    await response.body?.cancel();
    return response.status === 200;
  });
  const answered = clients.counts.lots.length;
  await delay(1_000);
  ok(clients.counts.lots.length > answered + 5, "it didn't recover");
  const { failures, ...tally } = await clients.stop();
  // Each server reports the unavailable database in its own words; no client is cut off.
  deepStrictEqual(failures.filter((line) => !/^50[0-4] /.test(line)), []);
  // Acknowledged writes are there; failed ones may be there too.
  const rows = await sql<{ lot_code: string }[]>`
    select lot_code from lots where lot_code like 'PLANT-%'`;
  const stored = new Set(rows.map(({ lot_code }) => lot_code));
  deepStrictEqual(tally.lots.filter((code) => !stored.has(code)), []);
});

Deno.test("a gateway without PostgreSQL and Lotline forwards to the old server, and stops on a signal", async () => {
  await using database = await freshDatabase();
  await using legacy = await startLegacyProcess({ databaseUrl: database.url });
  const nobody = `127.0.0.1:${freePort()}`;
  await using gateway = await startGateway({
    databaseUrl: `postgres://nobody@${nobody}/nothing`,
    legacyUrl: legacy.url,
    serviceUrl: `http://${nobody}`,
  });
  const response = await fetch(`${gateway.url}/api/health`);
  strictEqual(response.status, 200, await response.text());
  const unknown = await fetch(`${gateway.url}/api/nothing-of-the-contract`);
  match(await unknown.text(), /Cannot GET/);
  gateway.process.kill("SIGTERM");
  strictEqual((await gateway.process.status).code, 0);
});
