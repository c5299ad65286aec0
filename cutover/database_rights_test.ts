import { match, ok, strictEqual } from "node:assert/strict";
import { applyGrants } from "../db/grants.ts";
import { readGatewayRights } from "../db/rights.ts";
import type { Sql } from "../db/sql.ts";
import { loadSeed, resetToSeed } from "../dev/seed.ts";
import { startApi } from "../testing/api.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { startFaultyService } from "../testing/faulty_service.ts";
import { DRY_RUN_SECRET, GATEWAY_ADMIN_TOKEN, startGateway } from "./testing/gateway.ts";
import { insertPlan } from "./rollout/plans_table.ts";
import { startLegacyProcess } from "./testing/legacy_process.ts";

Deno.test("the rights of deno task grants are enough for everything that the gateway does", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await resetToSeed(sql, await loadSeed());
  const role = `lotline_gateway_${crypto.randomUUID().slice(0, 8)}`;
  const rights = await readGatewayRights();
  ok(rights);
  await applyGrants(database.url, [{ name: role, owner: "the gateway", rights }]);
  try {
    const { href } = Object.assign(new URL(database.url), { username: role });
    await using legacy = await startLegacyProcess({ databaseUrl: database.url });
    await using api = await startApi({
      databaseUrl: database.url,
      environment: { DRY_RUN_SECRET },
    });
    await givenOldEvidence(sql);
    let isFaulty = false;
    await using service = await startFaultyService(
      api.url,
      (response) =>
        isFaulty ? { ...response, body: response.body.replace('"MIX', '"RAW') } : response,
    );
    await using gateway = await startGateway({
      databaseUrl: href,
      legacyUrl: legacy.url,
      serviceUrl: service.url,
    });
    await eventually("old evidence is deleted", async () => {
      const [left] = await sql<{ rows: number }[]>`
        select (select count(*) from lotline.differences)
          + (select count(*) from lotline.evidence_collectors where batch = -1)
          + (select count(*) from lotline.route_answers where minute <> date_trunc('hour', minute))
          as rows`;
      return Number(left?.rows) === 0;
    });
    await sql`insert into lotline.recordings (side, per_operation, until)
      values ('legacy', 5, now() + interval '1 minute')`;
    const headers = { authorization: `Bearer ${GATEWAY_ADMIN_TOKEN}` };
    const notify = async (method: string, path: string, body: object) => {
      const response = await fetch(gateway.adminUrl + path, {
        method,
        headers,
        body: JSON.stringify({ who: "test", why: "rights", ...body }),
      });
      strictEqual(response.status, 200, await response.text());
    };
    const traced = async () => {
      const response = await fetch(`${gateway.url}/api/traceability/MIX-BATCH-88`);
      strictEqual(response.status, 200, await response.text());
    };
    await notify("PUT", "/routes/getTraceability", { mode: "shadow" });
    await eventually(
      "it shadows",
      async () => (await gateway.modes()).getTraceability === "shadow",
    );
    await eventually("what it saw is stored", async () => {
      await traced();
      const [row] = await sql<{ compared: boolean; recorded: boolean }[]>`
        select exists (select from lotline.route_outcomes where outcome = 'same') as compared,
          exists (select from lotline.recorded_exchanges) as recorded`;
      return row?.compared === true && row.recorded;
    });
    isFaulty = true;
    await eventually("it is rolled back", async () => {
      await traced();
      return (await gateway.modes()).getTraceability === "legacy";
    });
    await notify("POST", "/routes/getTraceability/clear", {});
    const steps = [{ name: "shadow" }] as const;
    await insertPlan(sql, {
      operations: ["getHealth"],
      options: { steps, soakMs: 0, samples: 1, patienceMs: 60_000 },
      note: { who: "test", why: "rights" },
    });
    await eventually(
      "it carries out a plan",
      async () => (await gateway.modes()).getHealth === "shadow",
    );
    await notify("POST", "/kill", {});
    await notify("POST", "/release", {});
    const [run] = await sql<{ version: string; commit: string | null }[]>`
      select version, commit from lotline.gateway_runs`;
    match(run?.version ?? "", /^\d+\.\d+\.\d+$/);
    for (const line of gateway.log.lines) ok(!/permission denied/.test(line), line);
  } finally {
    await sql.unsafe(`drop owned by ${role}; drop role ${role}`).simple();
  }
});

/** Rows of several tables that a gateway deletes or aggregates at its start. */
async function givenOldEvidence(sql: Sql): Promise<void> {
  await sql`
    insert into lotline.differences (at, operation, epoch, mode, outcome, fingerprint, differences)
    values (now() - interval '91 days', 'login', 1, 'shadow', 'different', '', '[]')`;
  await sql`
    insert into lotline.evidence_collectors (id, batch, stored_at)
    values (gen_random_uuid(), -1, now() - interval '31 days')`;
  await sql`
    insert into lotline.route_answers (
      operation, side, epoch, minute, requests, server_errors, silences, latencies
    )
    select 'login', 'legacy', 1, date_trunc('hour', now() - age) + interval '1 minute', 1, 0, 0, '{}'
    from unnest('{401 days,31 days}'::interval[]) as age`;
}
