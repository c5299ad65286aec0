import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { findJob } from "../db/jobs.ts";
import { openSession } from "../db/session.ts";
import type { Sql } from "../db/sql.ts";
import { fullDisk } from "../testing/full_disk.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { counted, workersInProcess } from "../testing/workers_in_process.ts";
import { delay } from "../timing.ts";
import { toPlainError } from "./serve_tasks.ts";
import { fromPlainError } from "./threads.ts";

const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());
const { kindOf, work, send, ends } = await workersInProcess(database);
const newSession = () => openSession(database.url, { name: "lotline-test" });

Deno.test("a full disk costs a job no attempt: it waits longer each time", async () => {
  let starts = 0;
  const kind = kindOf(async (name, { sql, complete }) => {
    starts++;
    await sql`insert into effects (name, times) values (${`${name} ${starts}`}, 1)`;
    await complete(counted(name));
  }, { maxAttempts: 1 });
  await using worker = work([kind]);
  let id: string;
  {
    await using _full = await fullDisk(sql, "effects");
    id = await send(kind, { args: { name: "full" } });
    await eventually("it was started twice", () => Promise.resolve(starts === 2));
    await ends(id, "ready");
    const waiting = await findJob(sql, id);
    deepStrictEqual([waiting?.attempt, waiting?.starts], [0, 2]);
    match(waiting?.last_error ?? "", /53100.*No space left/);
  }
  const job = await ends(id);
  deepStrictEqual([job.attempt, job.starts, job.last_error], [1, starts, null]);
  const postponed = worker.logged.filter(({ event }) => event === "job_postponed");
  strictEqual(postponed.length, 2);
  const [first = 0, second = 0] = postponed.map(({ fields }) => Number(fields?.retry_in_ms));
  ok(second > first, `${first} ms, then ${second} ms`);
});

Deno.test("an effect that meets a full disk isn't lost, and its attempt doesn't count", async () => {
  let runs = 0;
  const kind = kindOf((name, { complete }) => {
    runs++;
    return complete(counted(name));
  }, { maxAttempts: 1 });
  const full = await fullDisk(sql, "effects");
  await using _worker = work([kind], { leaseMs: 1_500 });
  const id = await send(kind, { args: { name: "full effect" } });
  // It is retried for half of its lease, and then released.
  await eventually("it is put off", async () => {
    const job = await findJob(sql, id);
    return job?.state === "ready" && job.starts === 1;
  });
  deepStrictEqual([(await findJob(sql, id))?.attempt, runs], [0, 1]);
  await full[Symbol.asyncDispose]();
  const job = await ends(id);
  deepStrictEqual([job.attempt, job.starts], [1, runs]);
  deepStrictEqual([...await sql`select times from effects where name = 'full effect'`], [
    { times: 1 },
  ]);
});

Deno.test("a job whose end can't be stored for longer than its lease doesn't count as its worker's fault", async () => {
  let isToFail = true;
  const kind = kindOf(async (_, { signal }) => {
    if (!isToFail) return;
    await delay(20_000, signal);
    signal.throwIfAborted();
  }, { maxAttempts: 1, timeoutMs: 30_000 });
  // One of them rescues expired jobs all the time, and has none of its own.
  await using _other = work([kindOf(() => Promise.resolve())], { leaseMs: 600 });
  await using worker = work([kind], { leaseMs: 600 });
  const id = await send(kind);
  await ends(id, "running");
  {
    await using _full = await fullDisk(sql, "lotline.jobs");
    await eventually("its lease is long over", async () => {
      const [row] = await sql`select from lotline.jobs
        where id = ${id} and lease_until < now() - interval '1 second'`;
      return row !== undefined;
    });
    isToFail = false;
  }
  const job = await ends(id);
  deepStrictEqual([job.attempt, job.starts], [1, 2]);
  ok(worker.logged.some(({ event }) => event === "job_postponed"));
});

Deno.test("backends that are killed and a database that is read-only cost a job no attempt", async () => {
  const faults = [
    (sql: Sql) => sql`select pg_terminate_backend(pg_backend_pid())`,
    (sql: Sql) => sql.unsafe("set local transaction_read_only = on; create table x ()"),
    (sql: Sql) => sql.unsafe("do $$ begin raise exception using errcode = '40P01'; end $$"),
  ];
  const runs = new Map<string, number>();
  const kind = kindOf(async (name, { complete }) => {
    const before = runs.get(name) ?? 0;
    runs.set(name, before + 1);
    await using session = newSession();
    // Not the bare error: one from a thread may be the cause of another.
    if (before === 0) {
      await faults[Number(name)]?.(session.sql).catch((cause) => {
        const error = new Error("the work can't go on", { cause });
        throw fromPlainError(structuredClone(toPlainError(error)));
      });
    }
    await complete(counted(name));
  }, { maxAttempts: 1, concurrency: 3 });
  await using _worker = work([kind]);
  const names = [...faults.keys()].map(String);
  const jobs = await Promise.all(
    names.map(async (name) => await ends(await send(kind, { args: { name } }))),
  );
  deepStrictEqual(jobs.map(({ attempt, starts }) => [attempt, starts]), names.map(() => [1, 2]));
});

Deno.test("a job whose statements take too long has failed: they would again", async () => {
  const kind = kindOf(async () => {
    await using session = newSession();
    await session.sql.unsafe("set statement_timeout = 20; select pg_sleep(9)");
  }, { maxAttempts: 1 });
  await using _worker = work([kind]);
  const job = await ends(await send(kind), "dead");
  deepStrictEqual([job.attempt, job.starts], [1, 1]);
  match(job.last_error ?? "", /57014/);
});

Deno.test("a job that the database stops each time is dead after its last start, and says why", async () => {
  const kind = kindOf((name, { complete }) => complete(counted(name)));
  await using _full = await fullDisk(sql, "effects");
  const id = await send(kind);
  await sql`update lotline.jobs set starts = 99 where id = ${id}`;
  await using worker = work([kind], { leaseMs: 600 });
  const job = await ends(id, "dead");
  deepStrictEqual([job.attempt, job.starts], [0, 100]);
  match(job.last_error ?? "", /^it was started 100 times .*53100/);
  await eventually(
    "the log says that the job is dead",
    () => Promise.resolve(worker.logged.some(({ event }) => event === "job_dead")),
  );
});

Deno.test("a job that meets a shutdown each time is dead after its last start, with the reason", async () => {
  const kind = kindOf((_, { signal }) => delay(60_000, signal));
  const id = await send(kind);
  const runIntoShutdown = async () => {
    const worker = work([kind], { graceMs: 10 });
    await ends(id, "running");
    await worker.end();
    return worker.logged.filter(({ event }) => event === "job_dead").length;
  };
  strictEqual(await runIntoShutdown(), 0);
  strictEqual(await runIntoShutdown(), 0);
  const job = await findJob(sql, id);
  deepStrictEqual([job?.state, job?.attempt, job?.starts], ["ready", 0, 2]);
  await sql`update lotline.jobs set starts = 99 where id = ${id}`;
  strictEqual(await runIntoShutdown(), 1);
  const dead = await findJob(sql, id);
  strictEqual(dead?.state, "dead");
  match(dead.last_error ?? "", /^it was started 100 times .* its worker was shut down$/);
});
