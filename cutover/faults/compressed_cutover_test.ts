import { deepStrictEqual, match, ok } from "node:assert/strict";
// @ts-types="@types/compression"
import compression from "compression";
import type { Sql } from "../../db/sql.ts";
import { parseSteps } from "../rollout/plan.ts";
import { runPlan } from "../rollout/run_plan.ts";
import { startLegacy } from "../legacy/server.ts";
import { startCutover } from "../testing/cutover.ts";
import { eventually } from "../../testing/eventually.ts";
import { startFaultyService } from "../../testing/faulty_service.ts";
import { startPlantClients } from "../testing/plant_clients.ts";

/** The old server as Express runs it with the compression package, every response compressed. */
const compressing = (databaseUrl: string) =>
  startLegacy({ databaseUrl, port: 0, before: [compression({ threshold: 0 })] });
const CLIENTS = { perSecond: 100, accepts: "gzip, deflate, br" };

const countOutcomes = (sql: Sql): Promise<{ outcome: string; count: number }[]> =>
  sql`
    select outcome, sum(count)::int as count from lotline.route_outcomes
    where approval = '' group by outcome order by outcome`;

Deno.test("a plan moves all routes from an old server that compresses, without a difference or a rollback", async () => {
  await using cutover = await startCutover({
    legacyUrl: compressing,
    limits: { latency_slack_ms: 60_000, min_samples: 20 },
  });
  const { sql } = cutover.database;
  await using clients = startPlantClients(cutover.gateways.map(({ url }) => url), CLIENTS);
  // Every route is compared all the time, from one address or another.
  await cutover.set({ name: "shadow" });
  await eventually(
    "compressed answers come",
    () => Promise.resolve(clients.counts.compressed > 50),
  );

  const notified: string[] = [];
  const ended = await runPlan(
    {
      sql,
      print: (line) => notified.push(line),
      signal: new AbortController().signal,
      note: { who: "test", why: "a step of a plan" },
    },
    ["getTraceability", "createLot"],
    {
      steps: parseSteps("shadow,50,100") ?? [],
      soakMs: 0,
      samples: 20,
      patienceMs: 10 * 60_000,
    },
  );
  const { failures } = await clients.stop();

  deepStrictEqual(ended, { end: "done" }, notified.join("\n"));
  deepStrictEqual(failures, []);
  const outcomes = await countOutcomes(sql);
  const count = (name: string) => outcomes.find(({ outcome }) => outcome === name)?.count ?? 0;
  const report = JSON.stringify(outcomes);
  deepStrictEqual(count("different"), 0, report);
  ok(count("same") > 100 && count("lost") * 10 < count("same"), report);
  const held = await sql`select operation from lotline.routes where latch is not null`;
  deepStrictEqual([...held], []);
});

Deno.test("a fault of Lotline's is found among compressed responses, and rolls its route back", async () => {
  await using cutover = await startCutover({
    legacyUrl: compressing,
    serviceUrl: (api) =>
      startFaultyService(api, (response) => ({
        ...response,
        body: response.body.replace(/("central":\{.*?"weight_kg":")(\d+\.\d)\d*"/, '$1$20"'),
      })),
  });
  const { sql } = cutover.database;
  await using clients = startPlantClients(cutover.gateways.map(({ url }) => url), CLIENTS);
  await cutover.set({ name: "shadow" });
  let latch = "";
  await eventually("the route is rolled back", async () => {
    const [row] = await sql<{ mode: string; latch: string | null }[]>`
      select mode, latch from lotline.routes where operation = 'getTraceability'`;
    latch = row?.latch ?? "";
    return row?.mode === "legacy" && latch !== "";
  });
  match(latch, /body\.central\.weight_kg/);
  const { failures } = await clients.stop();
  deepStrictEqual(failures, []);
  const held = await sql`
    select operation from lotline.routes where latch is not null and operation <> 'getTraceability'`;
  deepStrictEqual([...held], []);
});
