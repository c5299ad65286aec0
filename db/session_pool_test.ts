import { notStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { createSessionPool } from "./session_pool.ts";
import { openSession, type Session } from "./session.ts";

const database = await freshDatabase();
const { sql, url } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

const NAME = "lotline-test-kept";
const pool = (idleMs = 60_000) =>
  createSessionPool((onEnd) => openSession(url, { name: NAME, onEnd }), idleMs, url);

/** The PostgreSQL process of a session. */
async function pidOf(session: Session): Promise<number | undefined> {
  const [row] = await session.sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  return row?.pid;
}

async function openOnes(): Promise<number> {
  const rows = await sql`select from pg_stat_activity where application_name = ${NAME}`;
  return rows.length;
}

Deno.test("a session is reused, but never by two callers at a time", async () => {
  await using sessions = pool();
  const first = await sessions.use(pidOf);
  strictEqual(await sessions.use(pidOf), first);
  const [outer, inner] = await sessions.use(async (session) => [
    await pidOf(session),
    await sessions.use(pidOf),
  ]);
  strictEqual(outer, first);
  notStrictEqual(inner, first);
});

Deno.test("after a failure no session is reused, neither its own nor the idle ones", async () => {
  await using sessions = pool();
  const [outer, inner] = await sessions.use(async (session) => [
    await pidOf(session),
    await sessions.use(pidOf),
  ]);
  await rejects(sessions.use(() => Promise.reject(new Error("no"))), /^Error: no$/);
  const next = await sessions.use(pidOf);
  notStrictEqual(next, outer);
  notStrictEqual(next, inner);
  await eventually("they are closed", async () => await openOnes() === 1);
});

Deno.test("a session that PostgreSQL ends, idle or busy, isn't reused", async () => {
  await using sessions = pool();
  const end = async (pid: number | undefined) => {
    await sql`select pg_terminate_backend(${pid ?? 0}, 1000)`;
    await eventually("it has ended", async () => await openOnes() === 0);
  };
  const idle = await sessions.use(pidOf);
  await end(idle);
  const active = await sessions.use(async (session) => {
    const pid = await pidOf(session);
    await end(pid);
    await rejects(pidOf(session));
    return pid;
  });
  notStrictEqual(active, idle);
  notStrictEqual(await sessions.use(pidOf), active);
});

Deno.test("an idle session is closed after a timeout, and the others when the last user releases them", async () => {
  {
    await using sessions = pool(50);
    await sessions.use(pidOf);
    await eventually("it is closed", async () => await openOnes() === 0);
  }
  {
    await using sessions = pool();
    await sessions.use(pidOf);
    strictEqual(await openOnes(), 1);
  }
  await eventually("all are closed", async () => await openOnes() === 0);
});
