import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { z } from "zod";
import { claimJobInTurn } from "../db/job_attempts.ts";
import { insertJob } from "../testing/insert_job.ts";
import { freshDatabase } from "../testing/database.ts";
import { delay } from "../timing.ts";
import { runAttempt } from "./attempt.ts";
import { defineJob, type JobContext } from "./define_job.ts";
import { createThreads } from "./threads.ts";

/** Long enough that even on a slow machine an effect isn't stopped in the middle of its tries. */
const LEASE_MS = 600_000;

/** A database in which effects can be counted and statements fail with PostgreSQL's own errors. */
async function newPlant() {
  const database = await freshDatabase();
  const { sql } = database;
  await sql`create table effects (job uuid)`;
  await sql`create sequence tries`;
  // A sequence isn't rolled back on a failure: it counts the tries.
  await sql.unsafe(`create function fail_first(times int, code text) returns boolean
    language plpgsql as $$ begin
      if nextval('tries') <= times then
        raise exception 'planted %', code using errcode = code;
      end if;
      return true;
    end $$`);
  return {
    ...database,
    /** How often the end was stored, failed tries included. */
    async tries() {
      const [row] = await sql<{ count: number }[]>`
        select case when is_called then last_value else 0 end::int as count from tries`;
      return row?.count;
    },
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

type Plant = Awaited<ReturnType<typeof newPlant>>;

/** Runs a job once, as a worker would; returns its stored state afterwards, and the log. */
async function attempt(
  { sql, url }: Plant,
  run: (context: JobContext, job: string) => Promise<unknown>,
  { shutdown = new AbortController().signal, maxAttempts = 5, n = 1, timeoutMs = LEASE_MS }: {
    readonly shutdown?: AbortSignal;
    readonly timeoutMs?: number;
    readonly maxAttempts?: number;
    /** The job's argument, which must be a number. */
    readonly n?: number | string;
  } = {},
) {
  const lines: string[] = [];
  const id = await insertJob(sql, { kind: "tried", args: { n }, priority: 1 });
  const job = await claimJobInTurn(sql, id, { worker: "tester", leaseMs: LEASE_MS });
  ok(job);
  using threads = createThreads({
    databaseUrl: url,
    name: "lotline-test-job",
    statementTimeoutMs: 0,
  });
  const definition = defineJob({
    kind: "tried",
    args: z.object({ n: z.number() }),
    maxAttempts,
    timeoutMs,
    concurrency: 1,
    async run(_, context) {
      await run(context, id);
    },
  });
  await runAttempt(job, definition, performance.now(), {
    queueSql: sql,
    sql,
    threads,
    log: (level, event) => lines.push(`${level} ${event}`),
    leaseMs: LEASE_MS,
    shutdown,
  });
  const [row] = await sql<{ state: string; attempt: number; last_error: string | null }[]>`
    select state, attempt, last_error from lotline.jobs where id = ${id}`;
  const effects = await sql`select from effects where job = ${id}`;
  return { ...row, effects: effects.count, lines: lines.filter((line) => !/^debug/.test(line)) };
}

/**
 * Errors that PostgreSQL returns twice for an effect, the number of tries, and the job's outcome.
 */
const FAILURES: [what: string, code: string, tries: number, state: string][] = [
  ["a full disk", "53100", 3, "done"],
  ["a shutdown", "57P01", 3, "done"],
  ["a read-only server", "25006", 3, "done"],
  ["a deadlock", "40P01", 3, "done"],
  ["a statement that took too long", "57014", 1, "ready"],
  ["a value that is taken", "23505", 1, "ready"],
  ["a fault of ours", "42703", 1, "ready"],
];

for (const [what, code, tries, state] of FAILURES) {
  const again = tries > 1 ? "again, and it happens once" : "once, and the job later";
  Deno.test(`an effect that fails with ${what} is tried ${again}`, async () => {
    await using plant = await newPlant();
    const found = await attempt(
      plant,
      ({ complete }, job) =>
        complete((tx) => tx`insert into effects select ${job} where fail_first(2, ${code})`),
    );
    deepStrictEqual(
      [await plant.tries(), found.state, found.effects],
      [tries, state, state === "done" ? 1 : 0],
    );
    strictEqual(found.attempt, 1);
    if (state === "done") strictEqual(found.last_error, null);
    else match(found.last_error ?? "", RegExp(`planted ${code}`));
  });
}

Deno.test("marking a job that took too long is tried again, since it is always fast", async () => {
  await using plant = await newPlant();
  const { sql } = plant;
  await sql.unsafe(`create function check_end() returns trigger language plpgsql as $$ begin
    perform fail_first(2, '57014');
    return new;
  end $$`);
  await sql.unsafe(`create trigger check_end before update on lotline.jobs
    for each row when (old.state = 'running') execute function check_end()`);
  const found = await attempt(plant, () => Promise.reject(new Error("the job's own")));
  deepStrictEqual([await plant.tries(), found.state, found.attempt], [3, "ready", 1]);
  match(found.last_error ?? "", /the job's own/);
});

Deno.test("an end that PostgreSQL refuses is logged, and the job returns by its lease", async () => {
  await using plant = await newPlant();
  const { sql } = plant;
  await sql`alter table lotline.jobs add constraint planted check (last_error is null) not valid`;
  const found = await attempt(plant, () => Promise.reject(new Error("the job's own")));
  deepStrictEqual([found.state, found.lines], ["running", ["error job_end_not_stored"]]);
});

Deno.test("while the worker shuts down, an end that can't be stored is not retried", async () => {
  await using plant = await newPlant();
  const stop = new AbortController();
  const found = await attempt(plant, ({ complete }, job) =>
    complete((tx) => {
      // The shutdown comes after the job's work.
      stop.abort();
      return tx`insert into effects select ${job} where fail_first(2, '53100')`;
    }), { shutdown: stop.signal });
  deepStrictEqual([await plant.tries(), found.state, found.effects], [1, "ready", 0]);
});

Deno.test("a job that has failed for the last time is dead, which is logged as an error", async () => {
  await using plant = await newPlant();
  const fail = () => Promise.reject(new Error("the job's own"));
  const last = await attempt(plant, fail, { maxAttempts: 1 });
  deepStrictEqual([last.state, last.lines], ["dead", ["warn job_failed", "error job_dead"]]);
  const first = await attempt(plant, fail, { maxAttempts: 2 });
  deepStrictEqual([first.state, first.lines], ["ready", ["warn job_failed"]]);
  const done = await attempt(plant, () => Promise.resolve(undefined), { maxAttempts: 1 });
  deepStrictEqual([done.state, done.lines], ["done", ["info job_finished"]]);
});

Deno.test("a job with invalid arguments isn't started, and waits for a worker that they fit", async () => {
  await using plant = await newPlant();
  const begun: string[] = [];
  const found = await attempt(plant, () => {
    begun.push("begun");
    return Promise.resolve(undefined);
  }, { n: "one" });
  deepStrictEqual([found.state, begun], ["ready", []]);
  match(found.last_error ?? "", /^its arguments don't fit: n: /);
});

Deno.test("a job of a worker that shuts down is aborted and released, and counts no attempt", async () => {
  await using plant = await newPlant();
  const stop = new AbortController();
  let hasSettled = false;
  const during = await attempt(plant, async ({ complete }, job) => {
    stop.abort();
    await delay(10);
    hasSettled = true;
    await complete((tx) => tx`insert into effects select ${job}`);
  }, { shutdown: stop.signal });
  deepStrictEqual([during.state, during.attempt], ["ready", 0]);
  deepStrictEqual([hasSettled, during.effects], [true, 0], "its end is waited for, and not used");
  const before = await attempt(plant, () => Promise.resolve(undefined), { shutdown: stop.signal });
  deepStrictEqual([before.state, before.attempt, before.lines], [
    "ready",
    0,
    ["info job_released"],
  ]);
});

Deno.test("a job that ignores its signal is waited for up to the timeout, logged, and released", async () => {
  await using plant = await newPlant();
  const stop = new AbortController();
  const found = await attempt(plant, () => {
    setTimeout(() => stop.abort(), 10);
    return new Promise(() => {});
  }, { shutdown: stop.signal });
  deepStrictEqual([found.state, found.attempt, found.lines], [
    "ready",
    0,
    ["warn job_ignored_signal", "info job_released"],
  ]);
});

Deno.test("a job that runs too long is aborted, and has failed, whatever it returns then", async () => {
  await using plant = await newPlant();
  const found = await attempt(plant, async ({ signal, complete }, job) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    await complete((tx) => tx`insert into effects select ${job}`);
  }, { timeoutMs: 20 });
  deepStrictEqual([found.state, found.attempt, found.effects], ["ready", 1, 0]);
  match(found.last_error ?? "", /^it took longer than its kind may take$/);
});
