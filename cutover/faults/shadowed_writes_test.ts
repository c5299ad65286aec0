import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { loadSeed, resetToSeed } from "../../dev/seed.ts";
import { insertThresholds, readThresholds } from "../rollout/thresholds.ts";
import { setMode } from "../routes/routes_table.ts";
import { startApi } from "../../testing/api.ts";
import { freshDatabase } from "../../testing/database.ts";
import { dump } from "../../testing/dump.ts";
import { eventually } from "../../testing/eventually.ts";
import { DRY_RUN_SECRET, startGateway } from "../testing/gateway.ts";
import { startLegacyProcess } from "../testing/legacy_process.ts";

const POSTS = 10_000;
const AT_ONCE = 16;

Deno.test(`${POSTS} shadowed writes leave Lotline's database unchanged`, async () => {
  const seed = await loadSeed();
  // To show that nothing is left, the database needs a single writer: the old server and the
  // gateway each have their own database here.
  await using ours = await freshDatabase();
  await using theirs = await freshDatabase();
  await using records = await freshDatabase();
  await resetToSeed(ours.sql, seed);
  await resetToSeed(theirs.sql, seed);
  await using api = await startApi({ databaseUrl: ours.url, environment: { DRY_RUN_SECRET } });
  await using legacy = await startLegacyProcess({ databaseUrl: theirs.url });
  // On a busy machine the dry runs may be slow: their latency must not end the shadowing.
  const thresholds = await readThresholds(records.sql);
  await insertThresholds(
    records.sql,
    { ...thresholds, latency_slack_ms: 60_000 },
    { who: "test", why: "dry runs" },
  );
  for (const operation of ["createLot", "createQcDecision"] as const) {
    const mode = { name: "shadow" } as const;
    await setMode(records.sql, { operation, mode, who: "test", why: "dry runs" });
  }
  await using gateway = await startGateway({
    databaseUrl: records.url,
    legacyUrl: legacy.url,
    serviceUrl: api.url,
  });
  await eventually(
    "the gateway shadows",
    async () => (await gateway.modes()).createLot === "shadow",
  );
  const before = await dump(ours.sql);

  const statuses = new Map<number, number>();
  let next = 0;
  const client = async () => {
    while (next < POSTS) {
      const number = next++;
      const [path, body] = number % 2 === 0
        ? ["/api/lots", { lot_code: `DRY-${number}`, weight_kg: "12.50", metadata: { n: number } }]
        : ["/api/qc-decisions", { decision: "HOLD", notes: `dry ${number}` }];
      const response = await fetch(gateway.url + path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      await response.body?.cancel();
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, client));
  deepStrictEqual([...statuses], [[201, POSTS]]);
  const [stored] = await theirs.sql<{ lots: number; decisions: number }[]>`
    select (select count(*)::int from lots where lot_code like 'DRY-%') as lots,
      (select count(*)::int from qc_decisions where notes like 'dry %') as decisions`;
  deepStrictEqual(stored, { lots: POSTS / 2, decisions: POSTS / 2 });

  await eventually("all comparisons are counted", async () => {
    const [row] = await records.sql<{ count: number }[]>`
      select coalesce(sum(count), 0)::int as count from lotline.route_outcomes
      where approval = ''`;
    return row?.count === POSTS;
  });
  const outcomes = await records.sql<{ outcome: string; count: number }[]>`
    select outcome, sum(count)::int as count from lotline.route_outcomes
    where approval = '' group by outcome`;
  const same = outcomes.find(({ outcome }) => outcome === "same")?.count ?? 0;
  // Dry runs that come too late for a busy machine are not compared.
  ok(same > POSTS / 2, JSON.stringify(outcomes));
  strictEqual(outcomes.find(({ outcome }) => outcome === "different"), undefined);
  deepStrictEqual(await dump(ours.sql), before);
});
