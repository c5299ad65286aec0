import { createRedactor } from "../redact/redact.ts";
import { DRY_RUN_SECRET } from "../testing/shadow_rig.ts";
import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { connect } from "../../db/connect.ts";
import type { Sql } from "../../db/sql.ts";
import { freshDatabase, type TestDatabase } from "../../testing/database.ts";
import { eventually } from "../../testing/eventually.ts";
import { differenceAt } from "../testing/findings.ts";
import {
  clearHistory,
  givenHealth,
  givenOutcomes,
  givenResponses,
  givenRoute,
} from "../testing/route_history.ts";
import { startCollector } from "../evidence/collector.ts";
import { startAutoRollback } from "./auto_rollback.ts";
import type { Operation } from "../exchange/operations.ts";
import { readRoutes } from "../routes/routes_table.ts";
import { listCases } from "./verdict_cases.ts";
import { judge } from "./verdict.ts";

const shared = await freshDatabase();
Deno.test.afterAll(async () => await shared[Symbol.asyncDispose]());
const { sql } = shared;

const startGuard = ({ url }: TestDatabase = shared) =>
  startAutoRollback({ databaseUrl: url, log: () => {} });

async function routeOf(operation: Operation, pool: Sql = sql) {
  const { routes } = await readRoutes(pool);
  const route = routes.get(operation);
  ok(route !== undefined);
  return route;
}

async function verdictOf(operation: Operation) {
  const found = (await listCases(sql)).find(({ evidence }) => evidence.operation === operation);
  ok(found !== undefined, `${operation} isn't judged`);
  return judge(found.evidence, found.thresholds);
}

Deno.test("a difference found by another process rolls a route back once, with its place", async () => {
  await clearHistory(sql);
  const epoch = await givenRoute(sql, "getTraceability", { name: "canary", percent: 10 });
  await givenHealth(sql, { operation: "getTraceability", epoch });
  await using one = startGuard();
  await using other = startGuard();
  await eventually(
    "both have judged it",
    () =>
      Promise.resolve(
        [one, other].every(({ verdicts }) => verdicts.get("getTraceability")?.verdict === "pass"),
      ),
  );
  await using collector = startCollector({
    databaseUrl: shared.url,
    redactor: createRedactor(DRY_RUN_SECRET),
    log: () => {},
  });
  collector.found(differenceAt("body.central.weight_kg", { epoch }));
  await eventually(
    "it is rolled back",
    async () => (await routeOf("getTraceability")).mode.name === "legacy",
  );
  const { latch } = await routeOf("getTraceability");
  match(latch ?? "", /^1 unapproved difference, the last at body\.central\.weight_kg$/);
  await eventually(
    "both know",
    () => Promise.resolve([one, other].every(({ verdicts }) => verdicts.size === 0)),
  );
  const changes = await sql`
    select from_mode, automatic from lotline.route_changes where what = 'rollback'`;
  deepStrictEqual([...changes], [{ from_mode: "canary", automatic: true }]);
});

Deno.test("of several processes that see it at the same time, one rolls a route back and logs it", async () => {
  await clearHistory(sql);
  const epoch = await givenRoute(sql, "login", { name: "service" });
  await givenOutcomes(sql, { operation: "login", epoch, outcome: "different", count: 1 });
  const notified: string[] = [];
  await using guardians = new AsyncDisposableStack();
  for (let i = 0; i < 6; i++) {
    guardians.use(startAutoRollback({
      databaseUrl: shared.url,
      log: (_, line) => notified.push(line),
      onRollback: (operation) => notified.push(operation),
    }));
  }
  await eventually("it is rolled back", async () => (await routeOf("login")).latch !== undefined);
  await guardians.disposeAsync();
  deepStrictEqual(notified, ["route_rolled_back", "login"]);
});

Deno.test("each route is judged by itself, and one that fails in shadow goes back as well", async () => {
  await clearHistory(sql);
  const shadow = { name: "shadow" } as const;
  for (const operation of ["getHealth", "login", "createLot"] as const) {
    await givenHealth(sql, { operation, epoch: await givenRoute(sql, operation, shadow) });
  }
  await givenResponses(sql, {
    operation: "createLot",
    side: "service",
    epoch: 1,
    requests: 10,
    errors: 10,
  });
  await givenRoute(sql, "createAudit", { name: "service" });
  await givenResponses(sql, {
    operation: "createAudit",
    side: "service",
    epoch: 1,
    requests: 500,
    errors: 500,
  });
  const autoRollback = startGuard();
  await eventually(
    "it is rolled back",
    async () => (await routeOf("createLot")).latch !== undefined,
  );
  await eventually("they are judged", () => Promise.resolve(autoRollback.verdicts.size === 2));
  await autoRollback[Symbol.asyncDispose]();
  const modes = await Promise.all(
    (["getHealth", "login", "createLot", "createAudit"] as const).map((one) => routeOf(one)),
  );
  deepStrictEqual(modes.map(({ mode }) => mode.name), ["shadow", "shadow", "legacy", "service"]);
});

Deno.test("evidence counts for the epoch in which it was collected", async () => {
  await clearHistory(sql);
  const first = await givenRoute(sql, "login", { name: "shadow" });
  await givenHealth(sql, { operation: "login", epoch: first });
  strictEqual((await verdictOf("login")).verdict, "pass");
  await givenOutcomes(sql, { operation: "login", epoch: first, outcome: "different", count: 1 });
  strictEqual((await verdictOf("login")).verdict, "fail");
  await givenRoute(sql, "login", { name: "canary", percent: 1 });
  deepStrictEqual(await verdictOf("login"), {
    verdict: "inconclusive",
    reasons: [
      "0 of 200 responses of Lotline",
      "no client was seen, so that canary 1 % shows nothing",
      "0 of 200 comparisons without a difference",
    ],
  });
});

Deno.test("evidence older than the window doesn't count, except differences", async () => {
  await clearHistory(sql);
  const epoch = await givenRoute(sql, "login", { name: "shadow" });
  const old = { operation: "login", epoch, minutesAgo: 7 } as const;
  await givenResponses(sql, { ...old, side: "service", requests: 500, errors: 500 });
  await givenOutcomes(sql, { ...old, outcome: "late", count: 500 });
  await givenHealth(sql, { operation: "login", epoch });
  strictEqual((await verdictOf("login")).verdict, "pass");
  await givenOutcomes(sql, { ...old, minutesAgo: 50_000, outcome: "different", count: 1 });
  strictEqual((await verdictOf("login")).verdict, "fail");
});

Deno.test("a write in service is compared with the old server's earlier evidence", async () => {
  await clearHistory(sql);
  const shadow = await givenRoute(sql, "createLot", { name: "shadow" });
  await givenHealth(sql, { operation: "createLot", epoch: shadow });
  const epoch = await givenRoute(sql, "createLot", { name: "service" });
  const responses = { operation: "createLot", side: "service", epoch } as const;
  await givenResponses(sql, { ...responses, requests: 199 });
  deepStrictEqual((await verdictOf("createLot")).reasons, ["199 of 200 responses of Lotline"]);
  await givenResponses(sql, { ...responses, requests: 1 });
  strictEqual((await verdictOf("createLot")).verdict, "pass");
});

Deno.test("a needed approval counts as a use, not as a comparison", async () => {
  await clearHistory(sql);
  const epoch = await givenRoute(sql, "login", { name: "shadow" });
  const counted = { operation: "login", epoch, count: 100 } as const;
  await givenResponses(sql, { operation: "login", epoch, side: "legacy", requests: 300 });
  await givenResponses(sql, { operation: "login", epoch, side: "service", requests: 300 });
  await givenOutcomes(sql, { ...counted, outcome: "approved" });
  await givenOutcomes(sql, { ...counted, outcome: "approved", approval: "a-1" });
  await givenOutcomes(sql, { ...counted, outcome: "approved", approval: "a-2" });
  deepStrictEqual((await verdictOf("login")).reasons, [
    "100 of 200 comparisons without a difference",
  ]);
});

Deno.test("auto_rollback judges again when PostgreSQL is available again", async () => {
  await using database = await freshDatabase();
  const name = new URL(database.url).pathname.slice(1);
  const admin = connect({ url: shared.url, max: 1 });
  const lines: string[] = [];
  await using autoRollback = startAutoRollback({
    databaseUrl: database.url,
    log: (_, line) => lines.push(line),
  });
  const epoch = await givenRoute(database.sql, "login", { name: "shadow" });
  await eventually("it judges", () => Promise.resolve(autoRollback.verdicts.size === 1));
  await admin`alter database ${admin(name)} allow_connections false`;
  await admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`;
  await eventually(
    "it says nothing any more",
    () => Promise.resolve(autoRollback.verdicts.size === 0),
  );
  await admin`alter database ${admin(name)} allow_connections true`;
  await admin.end();
  await givenOutcomes(database.sql, { operation: "login", epoch, outcome: "different", count: 1 });
  await eventually(
    "it rolls back",
    async () => (await routeOf("login", database.sql)).latch !== undefined,
  );
  await eventually("it has said so", () => Promise.resolve(lines.length === 3));
  deepStrictEqual(lines, [
    "verdicts_failed",
    "route_rolled_back",
    "verdicts_recovered",
  ]);
});
