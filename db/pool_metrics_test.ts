import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { valuesOf } from "../testing/series.ts";
import { connect } from "./connect.ts";
import { poolMetrics } from "./pool_metrics.ts";
import { queryWithDeadline } from "./query_deadline.ts";
import { openSession } from "./session.ts";
import { createSessionPool } from "./session_pool.ts";

const database = await freshDatabase();
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());
const { url } = database;
const metrics = poolMetrics();
const readAll = async () => valuesOf(await metrics.text());

/** The gauges of a pool. */
async function read(pool: string) {
  const values = await readAll();
  return {
    inUse: values[`lotline_pool_connections{pool="${pool}",state="in_use"}`],
    idle: values[`lotline_pool_connections{pool="${pool}",state="idle"}`],
    max: values[`lotline_pool_max{pool="${pool}"}`],
    waiting: values[`lotline_pool_waiting{pool="${pool}"}`],
  };
}

const waited = async (pool: string, le: string) =>
  (await readAll())[`lotline_pool_wait_seconds_bucket{pool="${pool}",le="${le}"}`] ?? 0;

Deno.test("a pool shows its connections in use and idle, what waits for them, and how long it waited", async () => {
  const sql = connect({ url, max: 2, name: "lotline-shown" });
  deepStrictEqual(await read("shown"), { inUse: 0, idle: 0, max: 2, waiting: 0 });
  const slow = [1, 2, 3].map(() => sql`select pg_sleep(0.3)`.execute());
  await eventually("one waits", async () => (await read("shown")).waiting === 1);
  deepStrictEqual(await read("shown"), { inUse: 2, idle: 0, max: 2, waiting: 1 });
  strictEqual(await waited("shown", "+Inf"), 2);
  await Promise.all(slow);
  deepStrictEqual(await read("shown"), { inUse: 0, idle: 2, max: 2, waiting: 0 });
  deepStrictEqual([await waited("shown", "0.001"), await waited("shown", "+Inf")], [2, 3]);
  const sum = (await readAll())['lotline_pool_wait_seconds_sum{pool="shown"}'] ?? 0;
  ok(sum > 0.25, `${sum} s`);
  await sql.end({ timeout: 1 });
  // The counter stays, the pool is gone.
  deepStrictEqual((await read("shown")).max, undefined);
  strictEqual(await waited("shown", "+Inf"), 3);
});

Deno.test("a statement that gave up in the queue has waited too", async () => {
  const sql = connect({ url, max: 1, name: "lotline-given-up" });
  const slow = sql`select pg_sleep(0.4)`.execute();
  await queryWithDeadline(sql, sql`select 1`, 150).catch(() => {});
  const before = [await waited("given-up", "0.1"), await waited("given-up", "+Inf")];
  deepStrictEqual([before, (await read("given-up")).waiting], [[1, 2], 0]);
  await slow;
  await sql.end({ timeout: 1 });
});

Deno.test("a lost connection is not shown as idle", async () => {
  const sql = connect({ url, max: 1, name: "lotline-lost" });
  await sql`select 1`;
  deepStrictEqual((await read("lost")).idle, 1);
  await database.sql`
    select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'lotline-lost'`;
  await eventually("it is gone", async () => (await read("lost")).idle === 0);
  await sql.end({ timeout: 1 });
});

Deno.test("transactions have connections beside the pool, which are shown too", async () => {
  const sql = connect({ url, max: 1, name: "lotline-own" });
  await sql.begin(async (transaction) => {
    await transaction`select 1`;
    deepStrictEqual(await read("own-transactions"), {
      inUse: 1,
      idle: 0,
      max: undefined,
      waiting: undefined,
    });
  });
  deepStrictEqual((await read("own-transactions")).idle, 1);
  await sql.end({ timeout: 1 });
  deepStrictEqual((await read("own-transactions")).idle, undefined);
});

Deno.test("pools of the same name are shown as one", async () => {
  const pools = [1, 2].map(() => connect({ url, max: 3, name: "lotline-twin" }));
  await Promise.all(pools.map((sql) => sql`select 1`));
  deepStrictEqual(await read("twin"), { inUse: 0, idle: 2, max: 6, waiting: 0 });
  await Promise.all(pools.map((sql) => sql.end({ timeout: 1 })));
});

Deno.test("a session that fails is in use no more", async () => {
  await using sessions = createSessionPool(
    (onEnd) => openSession(url, { name: "lotline-failing", onEnd }),
    60_000,
    url,
    { name: "lotline-failing" },
  );
  await sessions.use(({ sql }) => sql`select 1 / 0`).catch(() => {});
  deepStrictEqual([(await read("failing")).inUse, (await read("failing")).idle], [0, 0]);
});
