import { deepStrictEqual, notStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { setImmediate } from "node:timers";
import { openLinkTo } from "../testing/black_hole.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually, withDeadline } from "../testing/eventually.ts";
import { delay } from "../timing.ts";
import { connect } from "./connect.ts";
import type { Sql } from "./sql.ts";
import { queryWithDeadline } from "./query_deadline.ts";
import { continuing, inLane, pool } from "./pool.ts";
import { openSession } from "./session.ts";

const database = await freshDatabase();
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

const NAME = "lotline-test-pool";

function openPool(max: number): AsyncDisposable & { readonly sql: Sql } {
  return disposable(connect({ url: database.url, max, name: NAME }));
}

function disposable(sql: Sql): AsyncDisposable & { readonly sql: Sql } {
  return { sql, [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }) };
}

async function endConnections(): Promise<void> {
  await database.sql`
    select pg_terminate_backend(pid) from pg_stat_activity where application_name = ${NAME}`;
}

async function pidOf(sql: Sql): Promise<number | undefined> {
  const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  return row?.pid;
}

const fatesOf = async (promises: Promise<unknown>[]) =>
  (await Promise.allSettled(promises)).map(({ status }) => status);

Deno.test("statements run in the order of their arrival, on the maximum number of connections", async () => {
  await using one = openPool(1);
  const ended: number[] = [];
  const requested = [0.05, 0, 0.02, 0].map((seconds, index) =>
    one.sql`select pg_sleep(${seconds})`.then(() => ended.push(index))
  );
  await Promise.all(requested);
  deepStrictEqual(ended, [0, 1, 2, 3]);

  await using three = openPool(3);
  const pids = await Promise.all(Array.from({ length: 20 }, () => pidOf(three.sql)));
  strictEqual(new Set(pids).size, 3);
});

Deno.test("a statement that times out in the queue never runs", async () => {
  await using one = openPool(1);
  const { sql } = one;
  await sql`create table late (n int)`;
  const slow = queryWithDeadline(sql, sql`select pg_sleep(0.3)`);
  await rejects(queryWithDeadline(sql, sql`insert into late values (1)`, 50), {
    code: "QUERY_DEADLINE",
  });
  await slow;
  await queryWithDeadline(sql, sql`insert into late values (2)`);
  deepStrictEqual([...await sql`select n from late`], [{ n: 2 }]);
});

Deno.test("while a lane waits for over a second it refuses statements, other lanes and what a request goes on with don't", async () => {
  await using one = openPool(1);
  const [writes, work] = [inLane(one.sql, "writes"), inLane(one.sql, "work")];
  const fates: Record<string, Promise<string>> = {};
  const begin = (name: string, statement: Promise<unknown>) =>
    fates[name] = statement.then(() => "ran", (error) => error.name);
  const held = one.sql`select pg_sleep(60)`.catch(() => {});
  begin("first", writes`select 1`);
  await eventually("writes are refused", async () => {
    const refused = writes`select 2`.then(() => false, (error) => error.name === "PoolBusyError");
    return await Promise.race([refused, delay(50).then(() => false)]);
  });
  begin("going on", continuing(writes)`select 3`);
  begin("other lane", work`select 4`);
  await endConnections();
  await held;
  const names = Object.keys(fates);
  const ended = await withDeadline("all have ended", Promise.all(Object.values(fates)));
  deepStrictEqual(Object.fromEntries(names.map((name, at) => [name, ended[at]])), {
    first: "ran",
    "going on": "ran",
    "other lane": "ran",
  });
});

Deno.test("a transaction has the same limits as every statement", async () => {
  await using one = openPool(1);
  const bounds = (sql: Pick<Sql, "unsafe">) =>
    sql.unsafe(`select name, setting from pg_settings where name in (
      'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout') order by name`);
  const inTransaction = await one.sql.begin((transaction) => bounds(transaction));
  deepStrictEqual([...inTransaction], [...await bounds(one.sql)]);
  deepStrictEqual(inTransaction.map(({ setting }) => setting), ["10000", "2000", "4000"]);
});

Deno.test("a statement that PostgreSQL refuses leaves its connection usable", async () => {
  await using one = openPool(1);
  const pid = await pidOf(one.sql);
  await rejects(one.sql`select 1 / 0`, { code: "22012" });
  strictEqual(await pidOf(one.sql), pid);
});

Deno.test("connections that are cut, idle or busy, are replaced immediately", async () => {
  await using two = openPool(2);
  const { sql } = two;
  const pid = await pidOf(sql);
  const working = fatesOf([sql`select pg_sleep(5)`]);
  await pidOf(sql);
  await endConnections();
  deepStrictEqual(await working, ["rejected"]);
  const pids = await Promise.all(Array.from({ length: 10 }, () => pidOf(sql)));
  strictEqual(new Set(pids).size, 2);
  strictEqual(pids.includes(pid), false);
});

Deno.test("a connection that is cut just before a statement is sent does no harm", async () => {
  await using ten = openPool(10);
  const { sql } = ten;
  const send = () => queryWithDeadline(sql, sql`select 1`, 1_000);
  for (let round = 0; round < 20; round++) {
    await fatesOf(Array.from({ length: 10 }, send));
    const ended = endConnections();
    const requested: Promise<unknown>[] = [];
    for (let turn = 0; turn < 20; turn++) {
      requested.push(fatesOf([send()]));
      // After a turn of the event loop, as statements for several requests are.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    await ended;
    await Promise.all(requested);
  }
  // On a busy machine the end of the last connections may be seen after the next statements are sent.
  await eventually("all ten statements at once succeed", async () => {
    const fates = await fatesOf(Array.from({ length: 10 }, send));
    return fates.every((fate) => fate === "fulfilled");
  });
});

Deno.test("when one connection stops responding, idle ones are no longer used either", async () => {
  await using link = await openLinkTo(database.url);
  await using three = disposable(connect({ url: link.url, max: 3, statementTimeoutMs: 300 }));
  const { sql } = three;
  await Promise.all(Array.from({ length: 3 }, () => sql`select pg_sleep(0.05)`));
  link.swallow();
  await rejects(queryWithDeadline(sql, sql`select 1`));
  link.heal();
  deepStrictEqual(await fatesOf([sql`select 1`]), ["fulfilled"]);
});

Deno.test("a connection is replaced at the end of its lifetime", async () => {
  const { url } = database;
  const open = (onEnd: () => void) => openSession(url, { name: NAME, onEnd });
  await using short = disposable(
    pool(connect({ url }), { name: "lotline-test", address: url, max: 1, open, lifetimeMs: 1_000 }),
  );
  const pid = await pidOf(short.sql);
  strictEqual(await pidOf(short.sql), pid);
  await delay(1_010);
  notStrictEqual(await pidOf(short.sql), pid);
});

Deno.test("an ended pool lets running statements finish, and accepts no more", async () => {
  const { sql } = openPool(1);
  const running = sql`select pg_sleep(0.1)`.execute();
  await pidOf(database.sql);
  const waiting = rejects(sql`select 1`, { code: "CONNECTION_ENDED" });
  await delay(20);
  await sql.end({ timeout: 1 });
  strictEqual((await running).length, 1);
  await waiting;
  await rejects(sql`select 1`, { code: "CONNECTION_ENDED" });
});

Deno.test("while PostgreSQL can't be reached every statement fails, and none waits for long", async () => {
  await using none = disposable(connect({ url: "postgres://127.0.0.1:1/none" }));
  for (let round = 0; round < 3; round++) {
    const requested = fatesOf(Array.from({ length: 20 }, () => none.sql`select 1`));
    // Each has six seconds; two rounds of ten would need twelve if they ran one after the other.
    const fates = await withDeadline("all have failed", requested, { seconds: 10 });
    deepStrictEqual(new Set(fates), new Set(["rejected"]));
  }
});
