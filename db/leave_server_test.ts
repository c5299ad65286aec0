import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { makeReadOnly, otherAddress } from "../testing/read_only.ts";
import { connect } from "./connect.ts";
import { reportWrongServer } from "./servers.ts";
import { openSession, type Session } from "./session.ts";
import { createSessionPool } from "./session_pool.ts";
import type { Sql } from "./sql.ts";

/*
 * Connections that were opened while the database was read-only stand for those to a demoted server:
 * they stay read-only, and new ones are not.
 */

const NAME = "lotline-test-left";
const READ_ONLY = { code: "25006" };

async function start() {
  const database = await freshDatabase();
  const { sql } = database;
  const url = otherAddress(database);
  await sql`create table stored (n int)`;
  const pools: Sql[] = [];
  return {
    url,
    sql,
    makeReadOnly: () => makeReadOnly(database),
    open(max: number): Sql {
      const pool = connect({ url, max, name: NAME });
      pools.push(pool);
      return pool;
    },
    /** The PostgreSQL processes of the pools. */
    async pids(): Promise<Set<number>> {
      const rows = await sql<{ pid: number }[]>`
        select pid from pg_stat_activity where application_name = ${NAME}`;
      return new Set(rows.map(({ pid }) => pid));
    },
    stored: async () => (await sql`select n from stored order by n`).map(({ n }) => n),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(pools.map((pool) => pool.end({ timeout: 1 })));
      await database[Symbol.asyncDispose]();
    },
  };
}

/** Opens all connections of a pool. */
const openAll = (sql: Sql, max: number) =>
  Promise.all(Array.from({ length: max }, () => sql`select pg_sleep(0.05)`));

const write = (sql: Sql, n: number) => sql`insert into stored values (${n})`.then(() => n);

Deno.test("after one write that a read-only server refuses, all connections of the pool are new", async () => {
  await using here = await start();
  const state = await here.makeReadOnly();
  const sql = here.open(4);
  await openAll(sql, 4);
  await state.end();
  const before = await here.pids();
  strictEqual(before.size, 4);
  await rejects(write(sql, 0), READ_ONLY);
  deepStrictEqual(await Promise.all([1, 2, 3, 4, 5].map((n) => write(sql, n))), [1, 2, 3, 4, 5]);
  await eventually("the old ones are closed", async () => {
    const now = await here.pids();
    return [...before].every((pid) => !now.has(pid));
  });
  deepStrictEqual(await here.stored(), [1, 2, 3, 4, 5]);
});

Deno.test("a busy connection finishes its statement and isn't used again", async () => {
  await using here = await start();
  const state = await here.makeReadOnly();
  const sql = here.open(2);
  await openAll(sql, 2);
  await state.end();
  const busy = sql<{ pid: number }[]>`select pg_backend_pid() as pid from pg_sleep(0.5)`.execute();
  await rejects(write(sql, 0), READ_ONLY);
  const [old] = await busy;
  ok(old !== undefined);
  const used = await Promise.all(
    Array.from({ length: 4 }, () => sql`select pg_backend_pid() as pid from pg_sleep(0.05)`),
  );
  strictEqual(used.some(([row]) => row?.pid === old.pid), false);
});

Deno.test("a refused transaction leaves the server too, and what it wrote isn't repeated", async () => {
  await using here = await start();
  const state = await here.makeReadOnly();
  const sql = here.open(2);
  await openAll(sql, 2);
  await sql.begin((transaction) => transaction`select 1`);
  await state.end();
  let runs = 0;
  const insert = () =>
    sql.begin(async (transaction) => {
      runs++;
      await transaction`insert into stored values (7)`;
    });
  await rejects(insert(), READ_ONLY);
  strictEqual(runs, 1);
  await write(sql, 8);
  await insert();
  deepStrictEqual(await here.stored(), [7, 8]);
});

Deno.test("all pools of the address leave together, also those that only read", async () => {
  await using here = await start();
  const state = await here.makeReadOnly();
  const [writer, reader] = [here.open(1), here.open(3)];
  await Promise.all([openAll(writer, 1), openAll(reader, 3)]);
  await state.end();
  await rejects(write(writer, 0), READ_ONLY);
  await eventually("none is open", async () => (await here.pids()).size === 0);
  await write(reader, 1);
});

Deno.test("a server that stays read-only gets new connections only now and then", async () => {
  await using here = await start();
  await here.makeReadOnly();
  const sql = here.open(1);
  const pids = new Set<unknown>();
  let writes = 0;
  // Each departure is followed by at least half a second without one.
  while (pids.size < 4) {
    const [row] = await sql`select pg_backend_pid() as pid`;
    pids.add(row?.pid);
    await rejects(write(sql, 0), READ_ONLY);
    writes++;
  }
  ok(writes > 20, `${writes} writes`);
  deepStrictEqual(await here.stored(), []);
});

Deno.test("sessions that are kept for later leave: idle ones at once, others after their use", async () => {
  await using here = await start();
  const { url } = here;
  await using sessions = createSessionPool(
    (onEnd) => openSession(url, { name: NAME, onEnd }),
    60_000,
    url,
  );
  const pidOf = async ({ sql }: Session) => (await sql`select pg_backend_pid() as pid`)[0]?.pid;
  const leave = () => reportWrongServer(url, performance.now());
  const used = await sessions.use(async (session) => {
    const pid = await pidOf(session);
    await sessions.use(pidOf);
    leave();
    await eventually("the idle one is closed", async () => (await here.pids()).size === 1);
    strictEqual(await pidOf(session), pid);
    return pid;
  });
  await eventually("the used one is closed", async () => (await here.pids()).size === 0);
  strictEqual(await sessions.use(pidOf) === used, false);
});

Deno.test("a dry run's session, which is read-only itself, says nothing about its server", async () => {
  await using here = await start();
  const sql = here.open(1);
  await openAll(sql, 1);
  const [pid] = await here.pids();
  await using session = openSession(here.url, { name: "lotline-test", readOnly: true });
  await rejects(write(session.sql, 0), READ_ONLY);
  strictEqual((await sql`select pg_backend_pid() as pid`)[0]?.pid, pid);
});
