import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { z } from "zod";
import { connectValkey } from "../cache/valkey.ts";
import { cancelJob, findJob } from "../db/jobs.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { counted, workersInProcess } from "../testing/workers_in_process.ts";
import { delay } from "../timing.ts";

const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());
const { kindOf, work, send, ends } = await workersInProcess(database);

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

Deno.test("a job whose arguments don't fit waits for a worker of another version, which does it", async () => {
  const kind = kindOf(() => Promise.resolve());
  const id = await send(kind, { args: { name: "n", more: true } });
  {
    await using _worker = work([kind]);
    await eventually("it was tried", async () => (await findJob(sql, id))?.last_error !== null);
  }
  const job = await findJob(sql, id);
  deepStrictEqual([job?.state, job?.attempt, job?.starts], ["ready", 0, 1]);
  match(job?.last_error ?? "", /^its arguments don't fit: .*more/);
  const later = { ...kind, args: z.looseObject({}) };
  await using _worker = work([later]);
  strictEqual((await ends(id, "done")).attempt, 1);
});

Deno.test("a kind that no worker knows waits a week for one that does, then it is dead", async () => {
  const [known, unknown] = [kindOf(() => Promise.resolve()), kindOf(() => Promise.resolve())];
  const [early, late] = [await send(unknown), await send(unknown)];
  await sql`update lotline.jobs set run_at = now() - interval '169 hours' where id = ${late}`;
  await using _worker = work([known]);
  const job = await ends(late, "dead");
  match(job.last_error ?? "", /^no worker knows jobs of kind kind_\d+$/);
  strictEqual((await findJob(sql, early))?.state, "ready");
});

Deno.test("the signal of a job that takes too long is aborted, and the job has failed", async () => {
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

Deno.test("the signal of a cancelled job is aborted, and its effect doesn't happen", async () => {
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

Deno.test("a job that ignores its signal holds its slot for a few seconds only", async () => {
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

Deno.test("a job keeps its lease while it runs, and its progress is stored", async () => {
  const kind = kindOf(async (_, { progress, signal }) => {
    progress({ lots: 12, share: NaN });
    await delay(1_500, signal);
    signal.throwIfAborted();
  });
  await using _first = work([kind], { leaseMs: 500 });
  await using _second = work([kind], { leaseMs: 500 });
  const job = await ends(await send(kind));
  strictEqual(job.attempt, 1);
  deepStrictEqual(job.progress, { lots: 12, share: null });
});

Deno.test("the signal of an attempt that lost its lease is aborted, and it can't store anything", async () => {
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
  Deno.test(`${how}: a kind runs at most as many jobs at once as it allows, and delays no other kind`, async () => {
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

  Deno.test(`${how}: urgent jobs run first, then those that have waited longest`, async () => {
    await using own = withLists ? await ownValkey() : undefined;
    const valkey = own && connectValkey(own.server.url, () => {});
    if (valkey) await eventually("Valkey responds", () => valkey.isUsable());
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

Deno.test("a worker that ends finishes its running jobs, and starts no more", async () => {
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

Deno.test("a job that still runs after the grace period is released, and the attempt doesn't count", async () => {
  const kind = kindOf((_, { signal }) => delay(60_000, signal));
  const worker = work([kind], { graceMs: 100 });
  const id = await send(kind);
  await ends(id, "running");
  await worker.end();
  const job = await findJob(sql, id);
  deepStrictEqual([job?.state, job?.attempt, job?.lease_until], ["ready", 0, null]);
});
