import { deepStrictEqual, ok } from "node:assert/strict";
import { parseSteps, PLAN_ORDER } from "../rollout/plan.ts";
import { runPlan } from "../rollout/run_plan.ts";
import { startCutover } from "../testing/cutover.ts";
import { withDeadline } from "../../testing/eventually.ts";
import { startOddClients } from "../odd_requests/odd_clients.ts";
import { startPlantClients } from "../testing/plant_clients.ts";

const SEED = 5;
/** Longer than any machine needs: a plan waits until it has enough samples. */
const PATIENCE = { seconds: 600 };

Deno.test(`a plan with the odd requests of seed ${SEED} among its traffic moves every route, and rolls none back`, async () => {
  await using cutover = await startCutover({
    limits: { min_samples: 40, latency_slack_ms: 60_000 },
  });
  const [gateway] = cutover.gateways;
  ok(gateway);
  const { sql } = cutover.database;
  await using odd = await startOddClients({
    url: gateway.url,
    legacyUrl: cutover.legacy.url,
    seed: SEED,
  });
  await using plant = startPlantClients([gateway.url], { perSecond: 150 });

  const notified: string[] = [];
  const plan = runPlan(
    {
      sql,
      print: (line) => notified.push(line),
      signal: new AbortController().signal,
      note: { who: "test", why: "a migration by the book" },
    },
    PLAN_ORDER,
    {
      steps: parseSteps("shadow,10,50,100") ?? [],
      soakMs: 1_000,
      samples: 40,
      patienceMs: PATIENCE.seconds * 1_000,
    },
  );
  const end = await withDeadline("the plan ends", plan, PATIENCE);
  await odd.stop();
  const { failures } = await plant.stop();

  const different = await sql`
    select operation, request->>'method' as method, request->>'target' as target,
      request->>'body' as body, differences
    from lotline.differences where outcome = 'different'`;
  deepStrictEqual([...different], [], notified.join("\n"));
  deepStrictEqual(end, { end: "done" }, notified.join("\n"));
  const steps = await sql<{ operation: string; modes: string[] }[]>`
    select operation, json_agg(to_mode || coalesce(' ' || to_percent, '') order by id) as modes
    from lotline.route_changes group by operation`;
  const modes = Object.fromEntries(steps.map((one) => [one.operation, one.modes]));
  for (const operation of PLAN_ORDER) {
    deepStrictEqual(modes[operation], ["shadow", "canary 10", "canary 50", "service"], operation);
  }
  deepStrictEqual(failures, []);
  const sent = [...odd.responses.values()].reduce((sum, count) => sum + count, 0);
  ok(sent > 200, `only ${sent} odd requests were sent`);
});
