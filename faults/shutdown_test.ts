import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import http from "node:http";
import { startApi, type TestApi } from "../testing/api.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually, withDeadline } from "../testing/eventually.ts";
import { delay } from "../timing.ts";

// Runs alone: running requests must end within the grace period.

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`requests that were accepted before ${signal} get their responses, then the process ends with 0`, async () => {
    await using database = await freshDatabase();
    await using api = await startApi({ databaseUrl: database.url });
    const { sql } = database;
    const responses = await sql.begin(async (transaction) => {
      await transaction`lock table lots in share row exclusive mode`;
      const codes = Array.from({ length: 5 }, (_, i) => `LAST-${i}`);
      // A write with a key is stored by its own statement, so that each can be seen waiting.
      const withKeys = codes.map((lot_code) =>
        api.post("/api/lots", { lot_code }, { "idempotency-key": lot_code })
      );
      await waitForBlocked(sql, codes.length);
      // These wait for a lock together, or for their turn.
      const batched = codes.map((code) => api.post("/api/lots", { lot_code: `${code}-TOO` }));
      await waitForBlocked(sql, codes.length + 1);
      const pending = Promise.all([...withKeys, ...batched]);
      api.process.kill(signal);
      await api.log.find((line) => line.includes('"event":"stopping"'));
      await delay(100);
      await transaction`select 1`;
      return { pending };
    });
    const statuses = (await responses.pending).map(({ status }) => status);
    deepStrictEqual(statuses, Array(10).fill(201));
    const { code, signal: endedBy } = await api.process.status;
    deepStrictEqual([code, endedBy], [0, null]);
    await api.log.ended;
    ok(api.log.lines.at(-1)?.includes('"event":"stopped"'), "the log must be written to its end");
  });
}

Deno.test("for DRAIN_SECONDS after SIGTERM the API serves on, and balancers see that it ends", async () => {
  await using api = await startApi({ environment: { DRAIN_SECONDS: "120" } });
  strictEqual((await api.get("/readyz")).status, 200);
  api.process.kill("SIGTERM");
  await api.log.find((line) => line.includes('"event":"stopping"'));
  const [ready, live, served] = [
    await api.get("/readyz"),
    await api.get("/livez"),
    await api.post("/api/lots", { lot_code: "DRAINED-1" }),
  ];
  deepStrictEqual([ready.status, live.status, served.status], [503, 200, 201]);
  deepStrictEqual(ready.json, { error: "The process is stopping" });
  for (const { headers } of [ready, live, served]) strictEqual(headers.get("connection"), "close");
  // A later signal ends the drain; one right behind the first may be the same one.
  api.process.kill("SIGTERM");
  strictEqual((await api.get("/livez")).status, 200);
  await delay(1_100);
  api.process.kill("SIGTERM");
  strictEqual((await api.process.status).code, 0);
});

async function waitForBlocked(
  sql: Awaited<ReturnType<typeof freshDatabase>>["sql"],
  count: number,
) {
  await eventually(`${count} requests wait for a lock`, async () => {
    const [row] = await sql<{ blocked: number }[]>`
      select count(*)::int as blocked from pg_stat_activity
      where application_name = 'lotline-api' and wait_event_type = 'Lock'
        and datname = current_database()`;
    return row !== undefined && row.blocked >= count;
  });
}

Deno.test("under load on persistent connections, SIGTERM fails no accepted request", async () => {
  await using api = await startApi();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  let responded = 0;
  let isStopping = false;
  const failures: string[] = [];
  const reset: string[] = [];
  const worker = async () => {
    for (;;) {
      const id = crypto.randomUUID();
      const outcome = await get(api, agent, id);
      if (outcome === 200) {
        responded++;
        continue;
      }
      // After it stops listening, a request may find no server; an accepted one must not be
      // dropped.
      if (isStopping && outcome === "reset") reset.push(id);
      else if (!(isStopping && outcome === "not accepted")) failures.push(String(outcome));
      return;
    }
  };
  const workers = Array.from({ length: 16 }, worker);
  await eventually("500 have a response", () => responded >= 500, { seconds: 120 });
  isStopping = true;
  api.process.kill("SIGTERM");
  await withDeadline("the load ends", Promise.all(workers));
  agent.destroy();
  deepStrictEqual(failures, []);
  strictEqual((await api.process.status).code, 0);
  await api.log.ended;
  // The system resets a new connection that the server has not yet taken.
  deepStrictEqual(reset.filter((id) => api.log.lines.some((line) => line.includes(id))), []);
  ok(api.log.lines.length >= 500, "every request that was accepted has a line in the log");
});

/**
 * The status, or the failure: "not accepted" when the server took no byte of the request, "reset"
 * when a new connection ended before a response.
 */
function get({ url }: TestApi, agent: http.Agent, id: string): Promise<number | string> {
  return new Promise((resolve) => {
    const headers = { "x-request-id": id };
    const request = http.get(`${url}/api/health`, { agent, headers }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
      response.on("error", (error) => resolve(`cut off: ${error.message}`));
    });
    request.on("error", (error) => {
      const code = "code" in error ? String(error.code) : "";
      // A persistent connection that the server closed while it was idle, or nothing listens any
      // more.
      const isReset = code === "ECONNRESET";
      const isClosed = code === "ECONNREFUSED" || (request.reusedSocket && isReset);
      resolve(isClosed ? "not accepted" : isReset ? "reset" : `${code} ${error.message}`);
    });
  });
}
