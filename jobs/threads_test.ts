import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { reportWrongServer } from "../db/servers.ts";
import { toApiError } from "../errors.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import type { OddTasks } from "../testing/odd_thread.ts";
import { createThreads, type RunOptions } from "./threads.ts";

const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

const NAME = "lotline-test-thread";
const newThreads = (program = new URL("../testing/odd_thread.ts", import.meta.url)) =>
  createThreads<OddTasks>(
    { databaseUrl: database.url, name: NAME, statementTimeoutMs: 0 },
    program,
  );
const options = (more: Partial<RunOptions> = {}): RunOptions => ({
  signal: new AbortController().signal,
  progress: () => {},
  ...more,
});

/** How many connections the threads have, or the threads of an earlier test. */
async function connections(): Promise<number> {
  return (await sql`select from pg_stat_activity where application_name = ${NAME}`).length;
}
const noConnections = () =>
  eventually("the threads have no connections", async () => await connections() === 0);

/** What a promise is rejected with. */
async function errorOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error("it is not rejected with an error");
}

Deno.test("sequential tasks use the same thread and connection, and new ones after a failure", async () => {
  using threads = newThreads();
  const place = () => threads.run("place", null, options());
  const first = await place();
  strictEqual(first.pid, Deno.pid);
  deepStrictEqual(await place(), first);
  await rejects(threads.run("fail", "broken", options()));
  const other = await place();
  ok(other.threadId !== first.threadId && other.backend !== first.backend);
});

Deno.test("a thread ends when sessions of its address leave their server", async () => {
  using threads = newThreads();
  const place = () => threads.run("place", null, options());
  const first = await place();
  reportWrongServer(database.url, performance.now());
  await noConnections();
  ok((await place()).threadId !== first.threadId);
});

Deno.test("concurrent tasks have a thread each", async () => {
  using threads = newThreads();
  const places = await Promise.all([1, 2, 3].map(() => threads.run("place", null, options())));
  strictEqual(new Set(places.map(({ threadId }) => threadId)).size, 3);
  strictEqual(new Set(places.map(({ backend }) => backend)).size, 3);
});

Deno.test("a task's error arrives with its name, its cause and PostgreSQL's code", async () => {
  using threads = newThreads();
  const own = await errorOf(threads.run("fail", "broken", options()));
  deepStrictEqual([own.name, own.message, String(own.cause)], [
    "TypeError",
    "broken",
    "Error: a cause",
  ]);
  const refused = await errorOf(threads.run("statement", "select 1/0", options()));
  deepStrictEqual([refused.name, "code" in refused && refused.code], ["PostgresError", "22012"]);
  const lost = "select pg_terminate_backend(pg_backend_pid())";
  const gone = await errorOf(threads.run("statement", lost, options()));
  strictEqual(toApiError(gone).code, "database_away");
});

Deno.test("a thread that fails or ends by itself fails its task with the cause, and no other one", async () => {
  using threads = newThreads();
  const broken = await errorOf(threads.run("failLater", "broken", options()));
  deepStrictEqual([broken.message, String(broken.cause)], [
    "the thread of a task failed",
    "RangeError: broken",
  ]);
  const ended = await errorOf(threads.run("end", null as never, options()));
  strictEqual(ended.message, "the thread of a task ended before it");
  const unsendable = await errorOf(threads.run("unsendable", null as never, options()));
  ok(/could not be cloned/.test(unsendable.message), unsendable.message);
  strictEqual(await threads.run("progress", 1, options()), 1);
});

Deno.test("a thread without its program fails its task with the cause", async () => {
  using threads = newThreads(new URL("./no_such_program.ts", import.meta.url));
  const { message, cause } = await errorOf(threads.run("place", null, options()));
  deepStrictEqual([message, cause instanceof Error], ["the thread of a task failed", true]);
});

Deno.test("a task that computes is stopped when its signal is aborted", async () => {
  using threads = newThreads();
  const notified = new SharedArrayBuffer(8);
  const numbers = new Int32Array(notified);
  const abort = new AbortController();
  const task = threads.run("compute", notified, options({ signal: abort.signal }));
  await eventually("it computes", () => Promise.resolve(Atomics.load(numbers, 0) === 1));
  const reason = new Error("called off");
  abort.abort(reason);
  await rejects(task, reason);
  await eventually("it has stopped", () => Promise.resolve(Atomics.load(numbers, 1) === 1));
});

Deno.test("a task that waits for PostgreSQL is stopped with its statement", async () => {
  await noConnections();
  using threads = newThreads();
  const abort = new AbortController();
  const sleep = `set client_connection_check_interval = '100ms'; select pg_sleep(600)`;
  const task = threads.run("statement", sleep, options({ signal: abort.signal }));
  await eventually("it waits", async () => await connections() === 1);
  const reason = new Error("called off");
  abort.abort(reason);
  await rejects(task, reason);
  await noConnections();
  await rejects(threads.run("place", null, options({ signal: abort.signal })), reason);
});

Deno.test("a task sends only new progress, and no message for each step", async () => {
  using threads = newThreads();
  const notified: unknown[] = [];
  const progress = (soFar: unknown) => notified.push(soFar);
  strictEqual(await threads.run("progress", 1_000_000, options({ progress })), 1_000_000);
  // It never pauses between its steps, so only the first is sent.
  deepStrictEqual(notified, [{ time: 1 }]);
});

Deno.test("disposing ends idle threads immediately, and busy ones after their task", async () => {
  await noConnections();
  const threads = newThreads();
  await Promise.all([1, 2].map(() => threads.run("place", null, options())));
  strictEqual(await connections(), 2);
  const slow = threads.run("statement", "select pg_sleep(0.2)", options());
  threads[Symbol.dispose]();
  strictEqual(await slow, 1);
  await noConnections();
});
