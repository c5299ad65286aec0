import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import type { Sql } from "../../db/sql.ts";
import { freshDatabase } from "../../testing/database.ts";
import { createRedactor } from "../redact/redact.ts";
import { exchange, startPair } from "../testing/gateway_server.ts";
import { DRY_RUN_SECRET } from "../testing/shadow_rig.ts";
import { startCollector } from "./collector.ts";
import { MAX_UNKNOWN_OF_A_DAY } from "./evidence_table.ts";

const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

const startEmpty = async () => {
  await sql`truncate lotline.unknown_requests`;
  return startCollector({
    databaseUrl: database.url,
    redactor: createRedactor(DRY_RUN_SECRET),
    log: () => {},
  });
};

const stored = async (sql: Sql) =>
  (await sql<{ method: string; path: string; count: number }[]>`
    select method, path, count::int from lotline.unknown_requests order by path, method`)
    .map((row) => ({ ...row }));

Deno.test("what only the old server responds to is counted by path, with pseudonyms and without its query", async () => {
  await using collector = await startEmpty();
  for (let times = 0; times < 3; times++) {
    collector.unknown("GET", "/api/lots/RAW-BEEF-001?name=Anna", 200);
  }
  collector.unknown("POST", "/api/anna", 401);
  ok(await collector.flush());
  const [lot, other, ...none] = await stored(sql);
  deepStrictEqual([lot, none], [{ method: "GET", path: "/api/lots/RAW-BEEF-001", count: 3 }, []]);
  strictEqual(other?.method, "POST");
  match(other.path, /^\/api\/text-[0-9a-f]{12}$/);

  collector.unknown("GET", "/api/lots/RAW-BEEF-001", 200);
  ok(await collector.flush());
  strictEqual((await stored(sql))[0]?.count, 4);
});

Deno.test("what the old server refuses too isn't counted, nor are preflights and its own failures", async () => {
  await using collector = await startEmpty();
  for (const status of [0, 400, 404, 405, 500, 503]) collector.unknown("GET", "/old", status);
  collector.unknown("OPTIONS", "/old", 204);
  ok(await collector.flush());
  deepStrictEqual(await stored(sql), []);
});

Deno.test("a client that invents paths fills a day's room and not the table", async () => {
  await using collector = await startEmpty();
  const sent = 400;
  for (let number = 0; number < sent; number++) {
    collector.unknown("GET", `/api/${"x".repeat(5_000)}/${number}`, 200);
    collector.unknown("GET", `/api/lots/RAW-${number}`, 200);
    if (number % 20 === 0) ok(await collector.flush());
  }
  ok(await collector.flush());
  const rows = await stored(sql);
  ok(rows.length <= MAX_UNKNOWN_OF_A_DAY + 50, `${rows.length} rows`);
  ok(rows.some(({ method, path }) => method === "*" && path === "(others)"));
  strictEqual(rows.reduce((sum, { count }) => sum + count, 0), 2 * sent);
});

Deno.test("the gateway reports each request that matches no operation", async () => {
  await using pair = await startPair("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  const { server } = pair;
  await exchange(server, "GET /old/report?q=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  await exchange(server, "GET /api/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  deepStrictEqual(server.unknown, ["GET /old/report?q=1 200"]);
});
