import { deepStrictEqual } from "node:assert/strict";
import { loadSeed, resetToSeed } from "../../dev/seed.ts";
import { readVerdicts } from "../rollout/verdicts.ts";
import { insertThresholds, readThresholds } from "../rollout/thresholds.ts";
import { setMode } from "../routes/routes_table.ts";
import { startApi } from "../../testing/api.ts";
import { freshDatabase } from "../../testing/database.ts";
import { eventually } from "../../testing/eventually.ts";
import { DRY_RUN_SECRET, startGateway } from "../testing/gateway.ts";
import { startLegacyProcess } from "../testing/legacy_process.ts";

const SMALL = 15;
const LARGE = 60;
/** Almost the maximum of both servers. */
const LARGE_BYTES = 100_000;

Deno.test("lots with as much metadata as the servers accept are compared as small ones are", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await resetToSeed(sql, await loadSeed());
  const limits = { ...await readThresholds(sql), min_samples: 10, latency_slack_ms: 60_000 };
  await insertThresholds(sql, limits, { who: "test", why: "a short test" });
  await using api = await startApi({
    databaseUrl: database.url,
    environment: { DRY_RUN_SECRET },
  });
  await using legacy = await startLegacyProcess({ databaseUrl: database.url });
  await setMode(sql, {
    operation: "createLot",
    mode: { name: "shadow" },
    who: "test",
    why: "large lots",
  });
  await using gateway = await startGateway({
    databaseUrl: database.url,
    legacyUrl: legacy.url,
    serviceUrl: api.url,
  });
  await eventually(
    "the gateway shadows",
    async () => (await gateway.modes()).createLot === "shadow",
  );
  for (let number = 0; number < SMALL + LARGE; number++) {
    const metadata = { text: "m".repeat(number < SMALL ? 10 : LARGE_BYTES) };
    const response = await fetch(`${gateway.url}/api/lots`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ lot_code: `SIZE-${number}`, metadata }),
    });
    deepStrictEqual([response.status, (await response.text()).length > metadata.text.length], [
      201,
      true,
    ]);
  }
  await eventually("all comparisons are counted", async () => {
    const [row] = await sql<{ count: number }[]>`
      select coalesce(sum(count), 0)::int as count from lotline.route_outcomes
      where approval = ''`;
    return row?.count === SMALL + LARGE;
  });
  const { verdicts } = await readVerdicts(sql);
  const found = verdicts.find(({ operation }) => operation === "createLot");
  const { same = 0, lost = 0, unanswered = 0 } = found?.counts.outcomes ?? {};
  // On a busy machine a dry run of any size may exceed its timeout and stay unanswered.
  deepStrictEqual({ lost, compared: same + unanswered }, { lost: 0, compared: SMALL + LARGE });
});
