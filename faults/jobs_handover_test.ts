import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { Sql } from "../db/sql.ts";
import { findJob } from "../db/jobs.ts";
import { isObject } from "../json.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually, withDeadline } from "../testing/eventually.ts";
import {
  allCountOnce,
  createEffects,
  enqueueCount,
  type JobWorker,
  startJobWorker,
} from "../testing/job_workers.ts";
import { delay } from "../timing.ts";

/** The log line of a finished attempt. */
const END = /"event":"job_(?:finished|failed|released|lease_lost)"/;

async function runsAt(sql: Sql, id: string, worker: JobWorker): Promise<void> {
  await eventually(`${worker.name} runs the job`, async () => {
    const job = await findJob(sql, id);
    return job?.state === "running" && job.worker === worker.name;
  });
}

Deno.test("a worker that was paused past its lease can't commit: the job belongs to another by then", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await createEffects(sql);
  const options = { databaseUrl: database.url, leaseMs: 800 };
  await using first = await startJobWorker(options);
  const id = await enqueueCount(sql, { kind: "stubborn", name: "x", ms: 1_400 });
  await runsAt(sql, id, first);
  const claimed = performance.now();
  first.process.kill("SIGSTOP");
  await using second = await startJobWorker(options);
  await runsAt(sql, id, second);
  // By now the first one only has to commit, and the second is running.
  await delay(1_450 - (performance.now() - claimed));
  first.process.kill("SIGCONT");
  const end = JSON.parse(await first.log.find((line) => END.test(line)));
  strictEqual(end.event, "job_lease_lost");
  // The current holder isn't checked: on a busy machine the second one may have finished.
  const done = JSON.parse(await second.log.find((line) => END.test(line)));
  deepStrictEqual([done.event, done.job, done.attempt], ["job_finished", id, 2]);
  await allCountOnce(sql, ["x"]);
  strictEqual((await findJob(sql, id))?.attempt, 2);
});

Deno.test("after SIGTERM jobs finish in the grace period or are released, and another worker starts them immediately", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await createEffects(sql);
  // A lease too long to wait for.
  const options = { databaseUrl: database.url, leaseMs: 60_000, graceMs: 1_000 };
  // Started before, since that is slow, and paused until it is needed.
  await using second = await startJobWorker(options);
  second.process.kill("SIGSTOP");
  await using first = await startJobWorker(options);
  const send = (ms: number) => enqueueCount(sql, { name: `${crypto.randomUUID()} ${ms}`, ms });
  const short = await Promise.all(Array.from({ length: 4 }, () => send(900)));
  const long = await Promise.all(Array.from({ length: 4 }, () => send(3_000)));
  for (const id of [...short, ...long]) await runsAt(sql, id, first);
  await delay(300);
  const waiting = await Promise.all(Array.from({ length: 8 }, () => send(10)));
  first.process.kill("SIGTERM");
  second.process.kill("SIGCONT");
  const { code } = await withDeadline("it ends", first.process.status);
  strictEqual(code, 0);
  // Of the long ones, which take three seconds, none was waited for.
  const ends = new Map<string, number>();
  for (const line of first.log.lines) {
    const { event } = JSON.parse(line);
    if (END.test(line)) ends.set(event, (ends.get(event) ?? 0) + 1);
  }
  deepStrictEqual([...ends].sort(), [["job_finished", 4], ["job_released", 4]]);
  await eventually("the second one runs them all", async () => {
    const jobs = await Promise.all(long.map((id) => findJob(sql, id)));
    return jobs.every((job) => job?.state === "running" && job.worker === second.name);
  });
  const all = await Promise.all([...short, ...long, ...waiting].map((id) => findJob(sql, id)));
  await allCountOnce(sql, all.flatMap((job) => nameOf(job?.arguments)));
  const attempts = await Promise.all(long.map(async (id) => (await findJob(sql, id))?.attempt));
  deepStrictEqual(attempts, [1, 1, 1, 1], "what was given back doesn't count as an attempt");
});

function nameOf(args: unknown): string[] {
  return isObject(args) && "name" in args ? [String(args.name)] : [];
}

Deno.test("four processes with the same schedule run each due job once a slot", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await createEffects(sql);
  await using stack = new AsyncDisposableStack();
  const options = {
    databaseUrl: database.url,
    // Every clock strikes repeatedly, for the current slot.
    environment: { DENO_CRON_TEST_SCHEDULE_OFFSET: "25" },
  };
  const workers = await Promise.all(Array.from({ length: 4 }, () => startJobWorker(options)));
  for (const worker of workers) stack.use(worker);
  const ticks = async () => {
    const [row] = await sql<{ times: number }[]>`select times from effects where name = 'tick'`;
    return row?.times ?? 0;
  };
  const SLOTS = 20;
  for (let slot = 1; slot <= SLOTS; slot++) {
    await eventually(`slot ${slot} has its run`, async () => await ticks() === slot);
    // A slot without its job equals a new slot.
    if (slot < SLOTS) await sql`delete from lotline.cron_runs`;
  }
  await eventually("every process's clock has struck more than 10 times", async () => {
    const strikes = await sql<{ times: number }[]>`
      select times from effects where name like 'strikes of %'`;
    return strikes.length === 4 && strikes.every(({ times }) => times > 10);
  });
  await delay(200);
  strictEqual(await ticks(), SLOTS);
});
