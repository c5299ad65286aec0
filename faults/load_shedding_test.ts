import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { startApi, type TestApi, type TestResponse } from "../testing/api.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { valuesOf } from "../testing/series.ts";

/*
 * Ten times the requests that a slow PostgreSQL can carry. What is not refused takes as long as it
 * needs: the tests measure no time.
 */

const CLIENTS = 160;
const TOO_SLOW = "The database is too slow for all requests, try again shortly";
const POOL = { DATABASE_POOL_MAX: "5", METRICS_PORT: "0" };

/** Sends one request after the other from each client until `until` is aborted. */
function flood(
  clients: number,
  until: AbortSignal,
  send: (n: number) => Promise<TestResponse>,
): Promise<TestResponse[]> {
  const responses: TestResponse[] = [];
  let sent = 0;
  const client = async () => {
    while (!until.aborted) responses.push(await send(sent++));
  };
  return Promise.all(Array.from({ length: clients }, client)).then(() => responses);
}

/** Ends the load when the condition holds, and also when it never does. */
async function untilOver(
  running: Promise<unknown>,
  over: AbortController,
  what: string,
  condition: () => Promise<boolean>,
): Promise<void> {
  try {
    await eventually(what, condition, { seconds: 60 });
  } finally {
    over.abort();
    await running;
  }
}

function checkRefusals(responses: readonly TestResponse[], usual: number): void {
  for (const { status, headers, json } of responses) {
    if (status === usual) continue;
    strictEqual(status, 503);
    strictEqual(headers.get("retry-after"), "1");
    match(json.error, /try again/);
  }
}

async function shedOf(api: TestApi, reason: string): Promise<number> {
  const line = await api.log.find((line) => line.includes('"event":"metrics_listening"'));
  const text = await (await fetch(`http://127.0.0.1:${JSON.parse(line).port}/metrics`)).text();
  return valuesOf(text)[`lotline_requests_shed_total{reason="${reason}"}`] ?? 0;
}

const statusesOf = (responses: readonly TestResponse[]) =>
  [...new Set(responses.map(({ status }) => status))].sort();

const storeLot = (api: TestApi, lot_code: string) => api.post("/api/lots", { lot_code });

Deno.test("while a lock stops all writes, every trace and health check is 200, and more writes are refused early", async () => {
  await using database = await freshDatabase();
  await using api = await startApi({ databaseUrl: database.url, environment: POOL });
  strictEqual((await storeLot(api, "BEFORE-1")).status, 201);
  const over = new AbortController();
  const refused: string[] = [];
  const write = async (n: number) => {
    const response = await storeLot(api, `LOCKED-${n}`);
    if (response.json.error === TOO_SLOW) refused.push(`LOCKED-${n}`);
    return response;
  };
  const locked = database.sql.begin(async (transaction) => {
    await transaction`lock table lots in share row exclusive mode`;
    const writes = flood(CLIENTS, over.signal, write);
    const reads = flood(2, over.signal, () => api.get("/api/traceability/BEFORE-1"));
    const checks = flood(1, over.signal, () => api.get("/api/health"));
    const running = Promise.all([writes, reads, checks]);
    await untilOver(running, over, "writes are refused", async () => {
      return await shedOf(api, "writes") > 100;
    });
    return await running;
  });
  const [writes, reads, checks] = await locked;
  checkRefusals(writes, 201);
  deepStrictEqual([statusesOf(reads), statusesOf(checks)], [[200], [200]]);
  strictEqual(await shedOf(api, "traces"), 0);
  const lines = await api.log.find((line) => line.includes('"event":"requests_shed"'));
  strictEqual(JSON.parse(lines).reason, "writes");
  strictEqual((await storeLot(api, "AFTER-1")).status, 201);
  ok(refused.length > 100, `${refused.length} were refused`);
  const { sql } = database;
  deepStrictEqual([...await sql`select lot_code from lots where lot_code in ${sql(refused)}`], []);
});

Deno.test("while every statement is slow, health is 200, some traces and writes succeed, and the others are 503 at once", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await using api = await startApi({ databaseUrl: database.url, environment: POOL });
  strictEqual((await storeLot(api, "BEFORE-1")).status, 201);
  await sql.unsafe(`
    create function slow() returns trigger language plpgsql as
      $$ begin perform pg_sleep(0.2); return new; end $$;
    create trigger slow before insert on lots for each row execute function slow();
    alter table lots rename to quick_lots;
    create view lots as select * from quick_lots where pg_sleep(0.2) is not null`);
  const over = new AbortController();
  const running = Promise.all([
    flood(CLIENTS, over.signal, (n) => storeLot(api, `SLOW-${n}`)),
    flood(CLIENTS, over.signal, () => api.get("/api/traceability/BEFORE-1")),
    flood(1, over.signal, () => api.get("/api/health")),
  ]);
  await untilOver(running, over, "requests are refused", async () => {
    return await shedOf(api, "writes") > 0 || await shedOf(api, "traces") > 0;
  });
  const [writes, reads, checks] = await running;
  checkRefusals(writes, 201);
  checkRefusals(reads, 200);
  deepStrictEqual(statusesOf(checks), [200]);
  ok(writes.some(({ status }) => status === 201), "some writes succeed");
  ok(reads.some(({ status }) => status === 200), "some traces succeed");

  // Statements that the API has given up may still run, and hold their locks.
  await eventually("the database is quick", () =>
    sql.unsafe(`
      drop view lots;
      alter table quick_lots rename to lots;
      drop trigger slow on lots`).then(() => true, () => false));
  const stored = await sql`select from lots where lot_code like 'SLOW%'`;
  ok(stored.length >= writes.filter(({ status }) => status === 201).length, "none is lost");
  strictEqual((await api.get("/api/traceability/BEFORE-1")).status, 200);
  strictEqual((await storeLot(api, "AFTER-1")).status, 201);
});
