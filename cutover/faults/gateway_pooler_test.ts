import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { loadSeed, resetToSeed } from "../../dev/seed.ts";
import { startApi } from "../../testing/api.ts";
import { freshDatabase } from "../../testing/database.ts";
import { eventually } from "../../testing/eventually.ts";
import { startPgBouncer } from "../../testing/pgbouncer.ts";
import { insertThresholds, readThresholds } from "../rollout/thresholds.ts";
import { readRoutes, release, setMode } from "../routes/routes_table.ts";
import { DRY_RUN_SECRET, GATEWAY_ADMIN_TOKEN, startGateway } from "../testing/gateway.ts";
import { startLegacyProcess } from "../testing/legacy_process.ts";

/* Gateway and Lotline behind PgBouncer in transaction mode, which gives them two connections. */

const NOTE = { who: "ana", why: "behind a pooler" };
/** Of each operation. */
const REQUESTS = 20;

const POOLERS = {
  "PgBouncer 1.18": { release: "bookworm", settings: {} },
  "PgBouncer 1.24": { release: "trixie", settings: { max_prepared_statements: "100" } },
} as const;

for (const [name, pooler] of Object.entries(POOLERS)) {
  Deno.test(`${name}: a gateway follows modes, compares, stores its evidence and kills`, async () => {
    await using database = await freshDatabase();
    const { sql } = database;
    await resetToSeed(sql, await loadSeed());
    // On a busy machine the dry runs may be slow: their latency must not end the shadowing.
    const thresholds = { ...await readThresholds(sql), latency_slack_ms: 60_000 };
    await insertThresholds(sql, thresholds, NOTE);
    const set = (operation: "createLot" | "getTraceability", mode: "shadow" | "service") =>
      setMode(sql, { operation, mode: { name: mode }, ...NOTE });
    await set("createLot", "shadow");
    await set("getTraceability", "shadow");

    await using bouncer = await startPgBouncer(database.url, pooler);
    const databaseUrl = bouncer.through(database.url);
    // The old server isn't ours, and works on sessions.
    await using legacy = await startLegacyProcess({ databaseUrl: database.url });
    await using api = await startApi({ databaseUrl, environment: { DRY_RUN_SECRET } });
    await using gateway = await startGateway({
      databaseUrl,
      legacyUrl: legacy.url,
      serviceUrl: api.url,
    });
    const becomes = (operation: string, mode: string) =>
      eventually(
        `${operation} is ${mode}`,
        async () => (await gateway.modes())[operation] === mode,
      );
    await becomes("createLot", "shadow");
    await becomes("getTraceability", "shadow");

    const create = async (lot_code: string) => {
      const response = await fetch(`${gateway.url}/api/lots`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ lot_code, weight_kg: "12.50" }),
      });
      await response.body?.cancel();
      return response.status;
    };
    for (let n = 0; n < REQUESTS; n++) {
      strictEqual(await create(`SHADOWED-${n}`), 201);
      const trace = await fetch(`${gateway.url}/api/traceability/MIX-BATCH-88`);
      await trace.body?.cancel();
      strictEqual(trace.status, 200);
    }
    await eventually("all comparisons are stored", async () => {
      const rows = await sql`
        select operation, outcome, sum(count)::int as count from lotline.route_outcomes
        where approval = '' group by 1, 2 order by 1`;
      return JSON.stringify(rows.map((row) => [row.operation, row.outcome, row.count])) ===
        JSON.stringify([["createLot", "same", REQUESTS], ["getTraceability", "same", REQUESTS]]);
    });
    const [row] = await sql`select count(*)::int from lots where lot_code like 'SHADOWED-%'`;
    deepStrictEqual(row, { count: REQUESTS });

    await set("createLot", "service");
    await becomes("createLot", "service");
    strictEqual(await create("SERVED-1"), 201);
    await bouncer.restart();
    await eventually("a lot is stored", async () => await create("SERVED-2") === 201);
    const killed = await fetch(`${gateway.adminUrl}/kill`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${GATEWAY_ADMIN_TOKEN}`,
        "content-type": "application/json",
      },
      body: JSON.stringify(NOTE),
    });
    await killed.body?.cancel();
    strictEqual(killed.status, 200);
    deepStrictEqual((await readRoutes(sql)).killed, NOTE);
    await becomes("createLot", "legacy");
    await release(sql, NOTE);
    await becomes("createLot", "service");
    const locks = await sql`
      select from pg_locks where locktype = 'advisory'
        and database = (select oid from pg_database where datname = current_database())`;
    strictEqual(locks.length, 0);
  });
}
