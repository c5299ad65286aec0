import { deepStrictEqual, match, rejects, strictEqual } from "node:assert/strict";
import { connect } from "../../db/connect.ts";
import { freePort } from "../../dev/free_port.ts";
import { freshDatabase } from "../../testing/database.ts";
import { givenClients, givenHealth, givenRoute } from "../testing/route_history.ts";
import { parseSteps } from "./plan.ts";
import { claimPlans, insertPlan } from "./plans_table.ts";
import { verdictMetrics } from "./verdict_metrics.ts";

const database = await freshDatabase();
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());
const { sql } = database;

/** The lines of an operation, without their common start. */
function linesOf(text: string, operation: string): string[] {
  return text.split("\n").filter((line) => line.includes(`operation="${operation}"`))
    .map((line) => line.replace("lotline_gateway_", ""));
}

Deno.test("verdicts, the moved share and the running plan are those that PostgreSQL has", async () => {
  const epoch = await givenRoute(sql, "login", { name: "canary", percent: 10 });
  await givenHealth(sql, { operation: "login", epoch });
  const shadowed = await givenRoute(sql, "getTraceability", { name: "shadow" });
  const seen = { operation: "getTraceability", epoch: shadowed, side: "legacy" } as const;
  await givenClients(sql, { ...seen, requests: 7, buckets: [1, 2] });
  await insertPlan(sql, {
    operations: ["getTraceability"],
    options: {
      steps: parseSteps("shadow,10,100") ?? [],
      soakMs: 0,
      samples: 250,
      patienceMs: 60_000,
    },
    note: { who: "tester", why: "a test" },
  });
  await claimPlans(sql, crypto.randomUUID());
  const { text } = verdictMetrics(sql);
  const shown = await text();
  const [clients, requests] = (await sql<{ clients: number; requests: number }[]>`
    select (bit_count(bit_or(buckets) filter (where side = 'service')))::float8
        / bit_count(bit_or(buckets)) * 100 as clients,
      (sum(requests) filter (where side = 'service'))::float8 / sum(requests) * 100 as requests
    from lotline.route_clients where operation = 'login' and epoch = ${epoch}`)
    .flatMap((row) => [row.clients, row.requests]);
  deepStrictEqual(linesOf(shown, "login"), [
    'verdict{operation="login",verdict="pass"} 1',
    'verdict{operation="login",verdict="fail"} 0',
    'verdict{operation="login",verdict="inconclusive"} 0',
    `real_service_percent{operation="login"} ${clients}`,
    `real_service_requests_percent{operation="login"} ${requests}`,
  ]);
  const trace = linesOf(shown, "getTraceability");
  deepStrictEqual(trace.slice(0, -1), [
    'verdict{operation="getTraceability",verdict="pass"} 0',
    'verdict{operation="getTraceability",verdict="fail"} 0',
    'verdict{operation="getTraceability",verdict="inconclusive"} 1',
    'real_service_percent{operation="getTraceability"} 0',
    'real_service_requests_percent{operation="getTraceability"} 0',
    'plan_step{operation="getTraceability"} 1',
    'plan_steps{operation="getTraceability"} 3',
  ]);
  match(trace.at(-1) ?? "", /^plan_waited_seconds\{operation="getTraceability"\} \d/);
  // A route on legacy has no share.
  deepStrictEqual(linesOf(shown, "createLot").length, 3);
});

Deno.test("a reading is kept for a while, then PostgreSQL is read again", async () => {
  const kept = verdictMetrics(sql);
  const fresh = verdictMetrics(sql, 0);
  const passes = 'lotline_gateway_verdict{operation="login",verdict="pass"}';
  for (const { text } of [kept, fresh]) match(await text(), RegExp(`^${passes} 1$`, "m"));
  await givenRoute(sql, "login", { name: "legacy" });
  strictEqual((await kept.text()).includes(`${passes} 1`), true);
  // The pause is in proportion to the time that a reading takes.
  const until = performance.now() + 20_000;
  while ((await fresh.text()).includes(`${passes} 1`) && performance.now() < until);
  strictEqual((await fresh.text()).includes(`${passes} 0`), true);
});

Deno.test("without PostgreSQL the source fails, and shows no old verdict", async () => {
  const url = `postgres://nobody:none@127.0.0.1:${freePort()}/none`;
  const gone = connect({ url, max: 1, name: "lotline-test" });
  await rejects(verdictMetrics(gone).text(), /ECONNREFUSED|refused|the verdicts are being read/);
  await gone.end({ timeout: 0 });
});
