import { deepStrictEqual, fail, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import { delay } from "../timing.ts";
import type { Sql } from "./sql.ts";
import {
  claimJobInTurn,
  claimNextJob,
  completeJob,
  completeJobWith,
  endAttempt,
  MAX_STARTS,
  renewLease,
  rescueExpiredJobs,
} from "./job_attempts.ts";
import { clearLostPushes, clearPushes, takeUnpushedJobs } from "./job_pushes.ts";
import { cancelJob, findJob, type NewJob, newJob, retryJob } from "./jobs.ts";
import { insertJob } from "../testing/insert_job.ts";

const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

let kinds = 0;
/** A job of a kind that no other test has. */
const someJob = (more: Partial<NewJob> = {}): NewJob => ({
  kind: `kind_${kinds++}`,
  args: {},
  priority: 1,
  ...more,
});

const claimant = { worker: "tester", leaseMs: 60_000 };
const soonLost = { worker: "tester", leaseMs: -1 };

async function claimed(job = someJob(), by = claimant) {
  const found = await claimJobInTurn(sql, await insertJob(sql, job), by);
  if (found === undefined) throw new Error("it can't be claimed");
  return found;
}

Deno.test("the same work is queued once while it waits or runs, and again after its end", async () => {
  const job = someJob({ uniqueKey: "lot 1" });
  const id = await insertJob(sql, job);
  strictEqual(await insertJob(sql, job), id);
  notStrictEqual(await insertJob(sql, { ...job, uniqueKey: "lot 2" }), id);
  notStrictEqual(await insertJob(sql, someJob({ uniqueKey: "lot 1" })), id);
  const attempt = await claimJobInTurn(sql, id, claimant);
  ok(attempt);
  strictEqual(await insertJob(sql, job), id);
  await completeJob(sql, attempt);
  notStrictEqual(await insertJob(sql, job), id);
  const without = someJob();
  notStrictEqual(await insertJob(sql, without), await insertJob(sql, without));
});

Deno.test("concurrent requests for the same work queue it once", async () => {
  const job = someJob({ uniqueKey: "x" });
  const ids = await Promise.all(Array.from({ length: 20 }, () => insertJob(sql, job)));
  strictEqual(new Set(ids).size, 1);
});

Deno.test("work that finishes while it is requested again is done again", async () => {
  const job = someJob({ uniqueKey: "x" });
  const { id } = await claimed(job);
  const finish = await openTransaction(
    sql,
    `update lotline.jobs set state = 'done' where id = '${id}'`,
  );
  const requested = insertJob(sql, job);
  await delay(100);
  await finish.commit();
  notStrictEqual(await requested, id);
});

Deno.test("waiting work that a person requests becomes urgent, and its id goes on that list", async () => {
  const job = someJob({ uniqueKey: "x" });
  const id = await insertJob(sql, job);
  const lists = ([0, 1] as const).map((priority) => ({ kind: job.kind, priority, room: 9 }));
  const taken = async () => (await takeUnpushedJobs(sql, lists)).map(({ priority }) => priority);
  deepStrictEqual(await taken(), [1]);
  await insertJob(sql, job);
  deepStrictEqual(await taken(), []);
  strictEqual(await insertJob(sql, { ...job, priority: 0 }), id);
  deepStrictEqual(await taken(), [0]);
  await insertJob(sql, job);
  strictEqual((await findJob(sql, id))?.priority, 0);
});

Deno.test("a job can be part of another statement, which succeeds or fails as a whole", async () => {
  const job = someJob();
  await sql`with job as (${newJob(sql, job)})
    insert into lotline.audits (job_id) select id from job`;
  const failing = sql`with job as (${newJob(sql, job)})
    insert into lotline.audits (job_id) select null from job`;
  strictEqual(await failing.then(() => "stored", () => "refused"), "refused");
  const jobs = await sql`select from lotline.jobs where kind = ${job.kind}`;
  strictEqual(jobs.count, 1);
});

Deno.test("of concurrent claims for one job one gets it, and later claims get different jobs", async () => {
  const alone = await insertJob(sql, someJob());
  const same = await Promise.all(
    Array.from({ length: 8 }, () => claimJobInTurn(sql, alone, claimant)),
  );
  strictEqual(same.filter((one) => one !== undefined).length, 1);
  const job = someJob();
  const ids = await Promise.all(Array.from({ length: 10 }, () => insertJob(sql, job)));
  const next: (string | undefined)[] = [];
  for (let round = 0; round < 4; round++) {
    const some = Array.from({ length: 4 }, () => claimNextJob(sql, [job.kind, "x"], claimant));
    next.push(...(await Promise.all(some)).map((one) => one?.id));
  }
  const got = next.filter((id) => id !== undefined);
  strictEqual(new Set(got).size, got.length);
  deepStrictEqual(new Set(got), new Set(ids));
});

Deno.test("a job that another worker is just claiming blocks no other claim", async () => {
  const job = someJob();
  const [first, second] = [await insertJob(sql, job), await insertJob(sql, job)];
  await using _claiming = await openTransaction(
    sql,
    `update lotline.jobs set state = 'running' where id = '${first}'`,
  );
  strictEqual((await claimNextJob(sql, [job.kind], claimant))?.id, second);
  strictEqual(await claimNextJob(sql, [job.kind], claimant), undefined);
});

Deno.test("a job that isn't due or has another kind can't be claimed", async () => {
  const job = someJob();
  const id = await insertJob(sql, job);
  strictEqual(await claimNextJob(sql, [someJob().kind], claimant), undefined);
  await sql`update lotline.jobs set run_at = now() + interval '1 minute' where id = ${id}`;
  strictEqual(await claimNextJob(sql, [job.kind], claimant), undefined);
  strictEqual(await claimJobInTurn(sql, id, claimant), undefined);
  strictEqual((await takeUnpushedJobs(sql, [{ kind: job.kind, priority: 1, room: 9 }])).length, 0);
});

Deno.test("only the token of the running attempt can renew, finish, fail or release it", async () => {
  const { id, token } = await claimed();
  const stranger = { id, token: crypto.randomUUID() };
  const effect = (tx: Sql) =>
    tx`insert into lotline.cron_runs (name, slot) values ('effect', now())`;
  strictEqual(await renewLease(sql, stranger, 1_000, undefined), undefined);
  strictEqual(await completeJobWith(sql, stranger, effect), undefined);
  strictEqual(await endAttempt(sql, stranger, { is: "failed", error: "x" }), undefined);
  strictEqual(await endAttempt(sql, stranger, { is: "released" }), undefined);
  strictEqual((await sql`select from lotline.cron_runs where name = 'effect'`).count, 0);
  deepStrictEqual(await renewLease(sql, { id, token }, 1_000, { done: 1 }), {
    cancel_requested: false,
  });
  strictEqual(await completeJob(sql, { id, token }), "now");
  strictEqual(await completeJob(sql, { id, token }), "before", "its response may have been lost");
  strictEqual(await endAttempt(sql, { id, token }, { is: "failed", error: "x" }), undefined);
  strictEqual((await findJob(sql, id))?.state, "done");
});

Deno.test("an impossible effect leaves the job unchanged", async () => {
  const { id, token } = await claimed();
  const effect = (tx: Sql) => tx`insert into lotline.cron_runs (name, slot) values (null, now())`;
  const finished = await completeJobWith(sql, { id, token }, effect)
    .then(() => "done", () => "refused");
  strictEqual(finished, "refused");
  strictEqual((await findJob(sql, id))?.state, "running");
});

Deno.test("a job of a lost worker is ready again, or dead after its last attempt, or cancelled", async () => {
  const [ready, dead, called] = [
    await claimed(someJob(), soonLost),
    await claimed(someJob(), soonLost),
    await claimed(someJob(), soonLost),
  ];
  const kept = await claimed();
  await cancelJob(sql, called.id);
  const lost = await rescueExpiredJobs(sql, { [ready.kind]: 2, [dead.kind]: 1, [kept.kind]: 1 });
  const states = Object.fromEntries(lost.map(({ id, state }) => [id, state]));
  deepStrictEqual(states, { [ready.id]: "ready", [dead.id]: "dead", [called.id]: "cancelled" });
  strictEqual(
    (await findJob(sql, dead.id))?.last_error,
    "worker tester was lost: it did not renew its lease",
  );
  strictEqual(await completeJob(sql, ready), undefined);
  strictEqual((await findJob(sql, kept.id))?.state, "running");
  strictEqual((await rescueExpiredJobs(sql, {})).length, 0);
});

Deno.test("an expired lease is noted first, and its job rescued unless it is renewed in time", async () => {
  const [lost, alive] = [await claimed(someJob(), soonLost), await claimed(someJob(), soonLost)];
  const healthy = await claimed();
  const takeBack = async () => (await rescueExpiredJobs(sql, {}, 400)).map(({ id }) => id);
  deepStrictEqual(await takeBack(), []);
  const noted = await sql<{ id: string }[]>`
    select id from lotline.jobs where silent_since is not null and state = 'running'`;
  deepStrictEqual(noted.map(({ id }) => id).sort(), [lost.id, alive.id].sort());
  deepStrictEqual(await takeBack(), [], "it was noted just now");
  await renewLease(sql, alive, 60_000, undefined);
  await sql`update lotline.jobs set silent_since = silent_since - interval '1 second'`;
  deepStrictEqual(await takeBack(), [lost.id]);
  for (const { id } of [alive, healthy]) strictEqual((await findJob(sql, id))?.state, "running");
});

Deno.test("noting an expired lease first doesn't delay the rescue of its job", async () => {
  const { id } = await claimed(someJob(), { worker: "tester", leaseMs: 1_000 });
  const due = async () => {
    const [row] = await sql<{ left: number; noted: boolean }[]>`
      select (extract(epoch from lease_until - clock_timestamp()) * 1000)::float8 as left,
        silent_since is not null as noted
      from lotline.jobs where id = ${id}`;
    return row ?? fail("there is no such job");
  };
  for (;;) {
    const { left, noted } = await due();
    const lost = await rescueExpiredJobs(sql, {}, 100);
    if (lost.length > 0) {
      ok(noted);
      deepStrictEqual(lost.map((job) => job.id), [id]);
      break;
    }
    ok(left > 0, "its lease is over, and it isn't taken back");
  }
});

Deno.test("each claim of a job counts as a start, with any outcome, and a retry resets the count", async () => {
  const id = await insertJob(sql, someJob());
  const claim = async (by = claimant) =>
    await claimJobInTurn(sql, id, by) ?? fail("it can't be claimed");
  const becomes = async (state: string, attempt: number, starts: number) => {
    const job = await findJob(sql, id);
    deepStrictEqual([job?.state, job?.attempt, job?.starts], [state, attempt, starts]);
  };
  const first = await claim();
  strictEqual(first.starts, 1);
  await becomes("running", 1, 1);
  await endAttempt(sql, first, { is: "released" });
  await becomes("ready", 0, 1);
  await endAttempt(sql, await claim(), { is: "postponed", error: "x", retryInMs: 0 });
  await becomes("ready", 0, 2);
  await endAttempt(sql, await claim(), { is: "failed", error: "x", retryInMs: 0 });
  await becomes("ready", 1, 3);
  await claim(soonLost);
  await rescueExpiredJobs(sql, {});
  await becomes("ready", 2, 4);
  await endAttempt(sql, await claim(), { is: "failed", error: "x" });
  await becomes("dead", 3, 5);
  await retryJob(sql, id);
  await becomes("ready", 0, 0);
});

Deno.test("a job with the maximum number of starts is dead with that reason, however its last start ends", async () => {
  const last = async (by = claimant) => {
    const id = await insertJob(sql, someJob());
    await sql`update lotline.jobs set starts = ${MAX_STARTS - 1} where id = ${id}`;
    return await claimJobInTurn(sql, id, by) ?? fail("it can't be claimed");
  };
  const [released, failed, postponed] = [await last(), await last(), await last()];
  const lost = await last(soonLost);
  strictEqual(await endAttempt(sql, released, { is: "released" }), "dead");
  strictEqual(
    await endAttempt(sql, failed, { is: "failed", error: "Error: no", retryInMs: 9 }),
    "dead",
  );
  strictEqual(
    await endAttempt(sql, postponed, { is: "postponed", error: "full", retryInMs: 9 }),
    "dead",
  );
  deepStrictEqual((await rescueExpiredJobs(sql, {})).map(({ id, state }) => [id, state]), [
    [lost.id, "dead"],
  ]);
  const errors = await Promise.all([released, failed, postponed, lost].map(async ({ id }) => {
    const job = await findJob(sql, id);
    strictEqual(job?.starts, MAX_STARTS);
    ok(job.finished_at);
    strictEqual(await claimJobInTurn(sql, id, claimant), undefined);
    return job.last_error;
  }));
  const tooOften = "it was started 100 times and never came to an end";
  deepStrictEqual(errors, [
    `${tooOften}; the last time its worker was shut down`,
    `${tooOften}; the last error: Error: no`,
    `${tooOften}; the last error: full`,
    `worker tester was lost: it did not renew its lease; ${tooOften}`,
  ]);
  const done = await last();
  strictEqual(await completeJob(sql, done), "now");
  const cancelled = await last();
  await cancelJob(sql, cancelled.id);
  strictEqual(await endAttempt(sql, cancelled, { is: "released" }), "cancelled");
});

Deno.test("a start by a worker of a release that counts only attempts is counted", async () => {
  const id = await insertJob(sql, someJob());
  await sql`update lotline.jobs set attempt = 2 where id = ${id}`;
  strictEqual((await findJob(sql, id))?.starts, 2);
  strictEqual((await claimJobInTurn(sql, id, claimant))?.starts, 3);
});

Deno.test("a job that was cancelled while it ran isn't tried again, however it ends", async () => {
  const [failing, releasing] = [await claimed(), await claimed()];
  for (const { id } of [failing, releasing]) strictEqual(await cancelJob(sql, id), "running");
  await endAttempt(sql, failing, { is: "failed", error: "x", retryInMs: 0 });
  await endAttempt(sql, releasing, { is: "released" });
  for (const { id } of [failing, releasing]) {
    const job = await findJob(sql, id);
    strictEqual(job?.state, "cancelled");
    ok(job.finished_at);
  }
});

Deno.test("a waiting job is cancelled immediately, a finished one keeps its state", async () => {
  const id = await insertJob(sql, someJob());
  strictEqual(await cancelJob(sql, id), "cancelled");
  strictEqual(await claimJobInTurn(sql, id, claimant), undefined);
  const done = await claimed();
  await completeJob(sql, done);
  strictEqual(await cancelJob(sql, done.id), "done");
  strictEqual((await findJob(sql, done.id))?.cancel_requested, false);
  strictEqual(await cancelJob(sql, crypto.randomUUID()), undefined);
});

Deno.test("a dead or cancelled job can be retried with all its attempts, unless its work is queued", async () => {
  const job = someJob({ uniqueKey: "x" });
  const dead = await claimed(job);
  await endAttempt(sql, dead, { is: "failed", error: "x" });
  const twin = await insertJob(sql, job);
  strictEqual(await retryJob(sql, dead.id), "twin");
  await cancelJob(sql, twin);
  strictEqual(await retryJob(sql, dead.id), "retried");
  const again = await findJob(sql, dead.id);
  deepStrictEqual([again?.state, again?.attempt, again?.finished_at], ["ready", 0, null]);
  ok(await claimJobInTurn(sql, dead.id, claimant));
  strictEqual(await retryJob(sql, dead.id), "running");
  strictEqual(await retryJob(sql, crypto.randomUUID()), "unknown");
});

Deno.test("ids are put on lists while there is room, each once, the oldest first", async () => {
  const job = someJob();
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) ids.push(await insertJob(sql, job));
  const list = { kind: job.kind, priority: 1 } as const;
  const take = async (room: number) =>
    (await takeUnpushedJobs(sql, [{ ...list, room }])).map(({ id }) => id);
  deepStrictEqual(await take(2), ids.slice(0, 2));
  deepStrictEqual(await take(0), []);
  const both = await Promise.all([take(2), take(2)]);
  deepStrictEqual(both.flat().sort(), ids.slice(2).sort());
  deepStrictEqual(await take(9), []);
  await clearPushes(sql, ids.slice(3));
  deepStrictEqual(await take(9), ids.slice(3));
});

Deno.test("an id that is missing on its list for 10 s is put there again, and no other", async () => {
  const job = someJob();
  const list = { kind: job.kind, priority: 1 } as const;
  const ids = [await insertJob(sql, job), await insertJob(sql, job)];
  await takeUnpushedJobs(sql, [{ ...list, room: 9 }]);
  const lost = async (length: number) => {
    await clearLostPushes(sql, [{ ...list, length }]);
    return (await takeUnpushedJobs(sql, [{ ...list, room: 9 }])).map(({ id }) => id);
  };
  deepStrictEqual(await lost(0), [], "it may be about to be claimed");
  await sql`update lotline.jobs set pushed_at = now() - interval '11 s' where id = ${ids[0] ?? ""}`;
  deepStrictEqual(await lost(2), []);
  deepStrictEqual(await lost(1), [ids[0]]);
});
