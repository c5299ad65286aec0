import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { z } from "zod";
import { findJob } from "../db/jobs.ts";
import { freshDatabase } from "../testing/database.ts";
import { enqueueCount, startJobWorker } from "../testing/job_workers.ts";
import { named, valuesOf } from "../testing/series.ts";
import { counted, workersInProcess } from "../testing/workers_in_process.ts";
import { createJobMetrics } from "./job_metrics.ts";

const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());
const { kindOf, work, send, ends } = await workersInProcess(database);

/** The counters that aren't 0, and the ends of attempts, by kind. */
async function counts({ text }: ReturnType<typeof createJobMetrics>) {
  const values = valuesOf(await text());
  const names = ["job_rescues_total", "job_retries_total", "jobs_died_total"]
    .concat("job_duration_seconds_count");
  return Object.fromEntries(
    names.flatMap((name) => Object.entries(named(values, `lotline_${name}`)))
      .filter(([, value]) => value !== 0)
      .map(([key, value]) => [key.replace(/^lotline_|_total|_seconds_count/g, ""), value]),
  );
}

Deno.test("attempts are measured by kind and end, and retries and dead jobs counted", async () => {
  let failures = 1;
  const well = kindOf((name, { complete }) => complete(counted(name)));
  const again = kindOf(() => {
    if (failures-- > 0) throw new Error("once");
    return Promise.resolve();
  });
  const broken = kindOf(() => Promise.reject(new Error("always")), { maxAttempts: 1 });
  const kinds = [well, again, broken];
  const metrics = createJobMetrics(kinds.map(({ kind }) => kind));
  deepStrictEqual(await counts(metrics), {});
  {
    await using _worker = work(kinds, { metrics });
    const ids = [await send(well), await send(again), await send(broken)];
    await Promise.all([ends(ids[0] ?? ""), ends(ids[1] ?? ""), ends(ids[2] ?? "", "dead")]);
  }
  deepStrictEqual(await counts(metrics), {
    [`job_duration{kind="${well.kind}",outcome="finished"}`]: 1,
    [`job_duration{kind="${again.kind}",outcome="failed"}`]: 1,
    [`job_duration{kind="${again.kind}",outcome="finished"}`]: 1,
    [`job_duration{kind="${broken.kind}",outcome="failed"}`]: 1,
    [`job_retries{kind="${again.kind}"}`]: 1,
    [`jobs_died{kind="${broken.kind}"}`]: 1,
  });
  const sum = valuesOf(await metrics.text())[
    `lotline_job_duration_seconds_sum{kind="${well.kind}",outcome="finished"}`
  ] ?? NaN;
  ok(sum > 0 && sum < 60, `${sum} s`);
});

Deno.test("jobs of a killed worker count as rescued, and as dead after their last attempt", async () => {
  const ids = await (async () => {
    await using killed = await startJobWorker({ databaseUrl: database.url });
    const sent = ["first", "last"].map((name) => enqueueCount(sql, { name, ms: 60_000 }));
    const ids = await Promise.all(sent);
    await Promise.all(ids.map((id) => ends(id, "running")));
    await killed.kill();
    return ids;
  })();
  await sql`update lotline.jobs set attempt = 2 where id = ${ids[1] ?? ""}`;
  const count = kindOf(() => Promise.resolve(), {
    kind: "count",
    args: z.object({ name: z.string() }),
    maxAttempts: 2,
  });
  const metrics = createJobMetrics(["count"]);
  {
    await using _worker = work([count], { metrics, leaseMs: 1_000 });
    await Promise.all([ends(ids[0] ?? ""), ends(ids[1] ?? "", "dead")]);
  }
  strictEqual((await findJob(sql, ids[0] ?? ""))?.attempt, 2);
  deepStrictEqual(await counts(metrics), {
    'job_rescues{kind="count"}': 2,
    'jobs_died{kind="count"}': 1,
    'job_duration{kind="count",outcome="finished"}': 1,
  });
});

Deno.test("a kind that isn't the worker's is unknown, however many there are", async () => {
  const known = kindOf(() => Promise.resolve());
  const metrics = createJobMetrics([known.kind]);
  const strangers = ["stranger_1", "stranger_2"].map((kind) => ({ ...known, kind }));
  const ids = await Promise.all(strangers.map((kind) => send(kind)));
  await sql`update lotline.jobs set run_at = now() - interval '8 days' where id in ${sql(ids)}`;
  {
    await using _worker = work([known], { metrics });
    await Promise.all(ids.map((id) => ends(id, "dead")));
  }
  deepStrictEqual(await counts(metrics), { 'jobs_died{kind="unknown"}': 2 });
});
