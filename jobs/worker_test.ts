import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { z } from "zod";
import { connectValkey, type Valkey } from "../cache/valkey.ts";
import type { Sql } from "../db/sql.ts";
import { cancelJob, findJob, insertJob, type Job, type NewJob } from "../db/jobs.ts";
import { openSession } from "../db/session.ts";
import type { LogFields } from "../log.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { delay } from "../timing.ts";
import { defineJob, type JobContext, type JobDefinition } from "./define_job.ts";
import { fromPlainError, toPlainError } from "./thread_messages.ts";
import { createThreads } from "./threads.ts";
import { runWorker, type WorkerOptions } from "./worker.ts";

const database = await freshDatabase();
const { sql } = database;
await sql`create table effects (name text primary key, times int not null)`;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

const Args = z.strictObject({ name: z.string() });

let kinds = 0;

/** A kind of its own for each test, since they share a database. */
function kindOf(
  run: (name: string, context: JobContext) => ReturnType<JobDefinition["run"]>,
  options: Partial<JobDefinition> = {},
) {
  return defineJob({
    kind: `kind_${kinds++}`,
    args: Args,
    maxAttempts: 3,
    timeoutMs: 10_000,
    concurrency: 2,
    ...options,
    run: ({ name }, context) => run(name, context),
  });
}

const newSession = () => openSession(database.url, { name: "lotline-test" });

const counted = (name: string) => (tx: Sql) =>
  tx`insert into effects (name, times) values (${name}, 1)
    on conflict (name) do update set times = effects.times + 1`;

/** A worker in this process; disposing asks it to end, and waits for that. */
function work(
  definitions: readonly JobDefinition[],
  options: Partial<WorkerOptions> & { sql?: Sql; valkey?: Valkey } = {},
) {
  const end = new AbortController();
  const logged: { event: string; fields: LogFields | undefined }[] = [];
  const ended = runWorker(definitions, {
    queueSql: options.sql ?? sql,
    sql,
    createThreads: (statementTimeoutMs) =>
      createThreads({ databaseUrl: database.url, name: "lotline-test", statementTimeoutMs }),
    valkey: options.valkey,
    log: (_, event, fields) => logged.push({ event, fields }),
  }, {
    name: "tester",
    maxConcurrent: 4,
    signal: end.signal,
    ...options,
  });
  return {
    logged,
    end: async () => {
      end.abort();
      await ended;
    },
    [Symbol.asyncDispose]: async () => {
      end.abort();
      await ended;
    },
  };
}

async function send(definition: JobDefinition, more: Partial<NewJob> = {}): Promise<string> {
  const args = { name: crypto.randomUUID() };
  return await insertJob(sql, { kind: definition.kind, args, priority: 1, ...more });
}

async function ends(id: string, state: Job["state"] = "done"): Promise<Job> {
  let job: Job | undefined;
  await eventually(`job ${id} is ${state}`, async () => {
    job = await findJob(sql, id);
    return job?.state === state;
  });
  if (job === undefined) throw new Error("there is no such job");
  return job;
}

Deno.test("a job is done once, and its effect happens with it", async () => {
  const kind = kindOf((name, { complete }) => complete(counted(name)));
  await using _worker = work([kind]);
  const id = await send(kind, { args: { name: "once" } });
  const job = await ends(id);
  deepStrictEqual([job.attempt, job.last_error, job.worker], [1, null, null]);
  ok(job.started_at && job.finished_at);
  deepStrictEqual([...await sql`select times from effects where name = 'once'`], [{ times: 1 }]);
});

Deno.test("a job that throws is tried again later, and is dead after its last attempt with the error", async () => {
  const starts: number[] = [];
  const kind = kindOf(() => {
    starts.push(performance.now());
    throw new Error(`broken\0 ${"x".repeat(10_000)}`);
  }, { maxAttempts: 2 });
  await using worker = work([kind]);
  const job = await ends(await send(kind), "dead");
  strictEqual(job.attempt, 2);
  match(job.last_error ?? "", /^Error: broken\ufffd x/);
  ok((job.last_error ?? "").length <= 2_000);
  const [first = 0, second = 0] = starts;
  ok(second - first >= 1_000, `tried again after ${second - first} ms`);
  strictEqual(worker.logged.filter(({ event }) => event === "job_failed").length, 2);
  strictEqual(worker.logged.filter(({ event }) => event === "job_dead").length, 1);
});

Deno.test("an effect that PostgreSQL refuses is a failure, and the job isn't done", async () => {
  const kind = kindOf(
    (_, { complete }) => complete((tx) => tx`insert into effects select null, 1`),
    {
      maxAttempts: 1,
    },
  );
  await using _worker = work([kind]);
  const job = await ends(await send(kind), "dead");
  match(job.last_error ?? "", /null value in column "name"/);
});

Deno.test("arguments that don't fit are dead at once, with what is wrong", async () => {
  const kind = kindOf(() => Promise.resolve());
  await using _worker = work([kind]);
  const job = await ends(await send(kind, { args: { name: 7, more: true } }), "dead");
  strictEqual(job.attempt, 1);
  match(job.last_error ?? "", /don't fit: name: .*string.*; .*more/);
});

Deno.test("a kind that no worker knows waits an hour for one that does, then it is dead", async () => {
  const [known, unknown] = [kindOf(() => Promise.resolve()), kindOf(() => Promise.resolve())];
  const [early, late] = [await send(unknown), await send(unknown)];
  await sql`update lotline.jobs set run_at = now() - interval '61 minutes' where id = ${late}`;
  await using _worker = work([known]);
  const job = await ends(late, "dead");
  match(job.last_error ?? "", /^no worker knows jobs of kind kind_\d+$/);
  strictEqual((await findJob(sql, early))?.state, "ready");
});

Deno.test("a job that takes too long is told so by its signal, and has failed", async () => {
  let notified: unknown;
  const kind = kindOf(async (_, { signal }) => {
    await delay(10_000, signal);
    notified = signal.reason;
  }, { timeoutMs: 100, maxAttempts: 1 });
  await using _worker = work([kind]);
  const job = await ends(await send(kind), "dead");
  match(String(notified), /timeout/);
  strictEqual(job.last_error, "it took longer than its kind may take");
});

Deno.test("a running job that is called off is told by its signal, and its effect doesn't happen", async () => {
  let notified: unknown;
  const kind = kindOf(async (name, { complete, signal }) => {
    await delay(10_000, signal);
    notified = signal.reason;
    await complete(counted(name));
  });
  await using _worker = work([kind], { leaseMs: 300 });
  const id = await send(kind, { args: { name: "called off" } });
  await ends(id, "running");
  strictEqual(await cancelJob(sql, id), "running");
  const job = await ends(id, "cancelled");
  ok(job.finished_at);
  match(String(notified), /cancelled/);
  deepStrictEqual([...await sql`select from effects where name = 'called off'`], []);
});

Deno.test("a job that doesn't heed its signal holds its place for some seconds only", async () => {
  const forever = Promise.withResolvers<void>();
  let isFirst = true;
  const kind = kindOf(async () => {
    if (!isFirst) return;
    isFirst = false;
    await forever.promise;
  }, { timeoutMs: 100, maxAttempts: 1, concurrency: 1 });
  await using worker = work([kind]);
  await ends(await send(kind), "dead");
  await ends(await send(kind));
  ok(worker.logged.some(({ event }) => event === "job_ignored_signal"));
  forever.resolve();
});

Deno.test("a job keeps its lease while it runs, and what it says of its progress is kept", async () => {
  const kind = kindOf(async (_, { progress, signal }) => {
    progress({ lots: 12, step: "odd \0\ud800 text", share: NaN });
    await delay(1_500, signal);
    signal.throwIfAborted();
  });
  await using _first = work([kind], { leaseMs: 500 });
  await using _second = work([kind], { leaseMs: 500 });
  const job = await ends(await send(kind));
  strictEqual(job.attempt, 1);
  deepStrictEqual(job.progress, { lots: 12, step: "odd \ufffd\ufffd text", share: null });
});

Deno.test("an attempt that has lost its lease is told, and can't store anything", async () => {
  let notified: unknown;
  const kind = kindOf(async (name, { complete, signal }) => {
    await delay(5_000, signal);
    notified = signal.reason;
    await complete(counted(name));
  });
  const worker = work([kind], { leaseMs: 600 });
  const id = await send(kind, { args: { name: "lost" } });
  await ends(id, "running");
  // As if it had been silent for longer than its lease, and another had it now.
  await sql`update lotline.jobs set token = gen_random_uuid(), lease_until = now() + interval '1 hour'
    where id = ${id}`;
  await eventually("it is told", () => Promise.resolve(notified !== undefined));
  await worker.end();
  match(String(notified), /lease lost/);
  strictEqual((await findJob(sql, id))?.state, "running");
  deepStrictEqual([...await sql`select from effects where name = 'lost'`], []);
});

for (const withLists of [false, true]) {
  const how = withLists ? "from the lists" : "from PostgreSQL";
  Deno.test(`${how}: no more at once than a kind allows, and a full kind doesn't hold up another`, async () => {
    await using own = withLists ? await ownValkey() : undefined;
    const valkey = own && connectValkey(own.server.url, () => {});
    let now = 0;
    let max = 0;
    const slow = kindOf(async (_, { signal }) => {
      max = Math.max(max, ++now);
      await delay(150, signal);
      now--;
    }, { concurrency: 2 });
    const quick = kindOf(() => Promise.resolve());
    const slowIds = await Promise.all(Array.from({ length: 8 }, () => send(slow)));
    {
      await using _worker = work([slow, quick], { ...(valkey && { valkey }) });
      await eventually("two run", () => Promise.resolve(now === 2));
      await ends(await send(quick));
      const waiting = await sql`
        select from lotline.jobs where kind = ${slow.kind} and state = 'ready'`;
      ok(waiting.count > 0, "the slow ones were through already");
      for (const id of slowIds) await ends(id);
    }
    strictEqual(max, 2);
    valkey?.close();
  });

  Deno.test(`${how}: what a person waits for goes first, then what has waited longest`, async () => {
    await using own = withLists ? await ownValkey() : undefined;
    const valkey = own && connectValkey(own.server.url, () => {});
    if (valkey) await eventually("Valkey answers", () => valkey.isUsable());
    const order: string[] = [];
    const kind = kindOf((name) => Promise.resolve(void order.push(name)), { concurrency: 1 });
    const ids: string[] = [];
    for (const [name, priority] of [["1", 1], ["2", 1], ["3", 0], ["4", 0]] as const) {
      ids.push(await send(kind, { args: { name }, priority }));
    }
    {
      await using _worker = work([kind], { ...(valkey && { valkey }) });
      for (const id of ids) await ends(id);
    }
    deepStrictEqual(order, ["3", "4", "1", "2"]);
    valkey?.close();
  });
}

Deno.test("asked to end, a worker lets what runs finish, and starts nothing more", async () => {
  const kind = kindOf(async (_, { signal }) => {
    await delay(300, signal);
    signal.throwIfAborted();
  }, { concurrency: 1 });
  const worker = work([kind]);
  const ids = [await send(kind), await send(kind)];
  await ends(ids[0] ?? "", "running");
  await worker.end();
  const states = await Promise.all(ids.map(async (id) => (await findJob(sql, id))?.state));
  deepStrictEqual(states, ["done", "ready"]);
});

Deno.test("what isn't through after the grace is given back, and the attempt doesn't count", async () => {
  const kind = kindOf((_, { signal }) => delay(60_000, signal));
  const worker = work([kind], { graceMs: 100 });
  const id = await send(kind);
  await ends(id, "running");
  await worker.end();
  const job = await findJob(sql, id);
  deepStrictEqual([job?.state, job?.attempt, job?.lease_until], ["ready", 0, null]);
});

/** How a disk that is full looks to whoever writes into a table; disposing makes room. */
async function fullDisk(table: string) {
  const name = `full_${crypto.randomUUID().replaceAll("-", "")}`;
  await sql.unsafe(`
    create function ${name}() returns trigger language plpgsql as $$ begin
      raise exception 'could not extend file: No space left on device' using errcode = '53100';
    end $$;
    create trigger ${name} before insert or update on ${table} execute function ${name}()`);
  return {
    [Symbol.asyncDispose]: async () =>
      void await sql.unsafe(`drop function if exists ${name} cascade`),
  };
}

Deno.test("a disk that is full, for a while, costs a job no attempt: it waits longer each time", async () => {
  let starts = 0;
  const kind = kindOf(async (name, { sql, complete }) => {
    starts++;
    await sql`insert into effects (name, times) values (${`${name} ${starts}`}, 1)`;
    await complete(counted(name));
  }, { maxAttempts: 1 });
  await using worker = work([kind]);
  let id: string;
  {
    await using _full = await fullDisk("effects");
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

Deno.test("an effect that finds the disk full isn't lost, nor is its attempt", async () => {
  let runs = 0;
  const kind = kindOf((name, { complete }) => {
    runs++;
    return complete(counted(name));
  }, { maxAttempts: 1 });
  const full = await fullDisk("effects");
  await using _worker = work([kind], { leaseMs: 1_500 });
  const id = await send(kind, { args: { name: "full effect" } });
  // It is tried again for half of its lease, and then gives way.
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

Deno.test("a job whose end can't be stored for longer than its lease isn't taken for its worker's fault", async () => {
  let isToFail = true;
  const kind = kindOf(async (_, { signal }) => {
    if (!isToFail) return;
    await delay(20_000, signal);
    signal.throwIfAborted();
  }, { maxAttempts: 1, timeoutMs: 30_000 });
  // One of them looks for lost jobs all the time, and has none of its own.
  await using _other = work([kindOf(() => Promise.resolve())], { leaseMs: 600 });
  await using worker = work([kind], { leaseMs: 600 });
  const id = await send(kind);
  await ends(id, "running");
  {
    await using _full = await fullDisk("lotline.jobs");
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
    // Not the bare error: it comes from a thread, where it may have been put into another one.
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
  await using _full = await fullDisk("effects");
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

Deno.test("a job that each time runs into a shutdown is told of: its starts are counted, and have an end", async () => {
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
