import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import type { Sql } from "./sql.ts";
import {
  type ClaimedJob,
  claimJobInTurn,
  claimNextJob,
  completeJob,
  completeJobWith,
  discardUnknownKinds,
  endAttempt,
  renewLease,
  rescueExpiredJobs,
} from "./job_attempts.ts";
import { takeUnpushedJobs } from "./job_pushes.ts";
import { cancelJob } from "./jobs.ts";
import { insertJob } from "../testing/insert_job.ts";
import { lockWaits } from "../testing/lock_waits.ts";

const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

const claimant = { worker: "tester", leaseMs: 60_000 };

let kinds = 0;
/** A job of a kind that no other test has, just claimed. */
async function claimed(): Promise<ClaimedJob> {
  const id = await insertJob(sql, { kind: `attempted_${kinds++}`, args: {}, priority: 1 });
  const job = await claimJobInTurn(sql, id, claimant);
  ok(job);
  return job;
}

/** The whole stored row of a job. */
async function rowOf(id: string): Promise<Record<string, unknown>> {
  const [row] = await sql`select * from lotline.jobs where id = ${id}`;
  ok(row);
  return { ...row };
}

/** What a stale attempt may still try to store, with its result when it finds no row. */
const WISHES: [what: string, wish: (job: ClaimedJob) => Promise<unknown>, none: unknown][] = [
  ["given back", (job) => endAttempt(sql, job, { is: "released" }), undefined],
  ["deferred", (job) => endAttempt(sql, job, { is: "deferred", retryInMs: 1_000 }), undefined],
  ["failed", (job) => endAttempt(sql, job, { is: "failed", error: "no", retryInMs: 0 }), undefined],
  ["dead", (job) => endAttempt(sql, job, { is: "failed", error: "no" }), undefined],
  ["cancelled", (job) => endAttempt(sql, job, { is: "cancelled" }), undefined],
  ["renewed", (job) => renewLease(sql, job, 60_000, { done: 1 }), undefined],
];

for (const [what, wish, none] of WISHES) {
  Deno.test(`a done job can't be ${what} any more, even by the attempt that finished it`, async () => {
    const job = await claimed();
    ok(await completeJob(sql, job));
    const before = await rowOf(job.id);
    strictEqual(await wish(job), none);
    deepStrictEqual(await rowOf(job.id), before);
    strictEqual(await claimNextJob(sql, [job.kind], claimant), undefined, "nobody does it again");
  });

  Deno.test(`a job that another attempt holds can't be ${what} by the earlier one`, async () => {
    const first = await claimed();
    strictEqual(await endAttempt(sql, first, { is: "released" }), "ready");
    const second = await claimNextJob(sql, [first.kind], claimant);
    ok(second);
    const before = await rowOf(first.id);
    strictEqual(await wish(first), none);
    deepStrictEqual(await rowOf(first.id), before);
    ok(await completeJob(sql, second));
  });
}

Deno.test("only the attempt that holds a job can finish it; a repeat returns the same and has no effect", async () => {
  await sql`create table finished_jobs (id uuid)`;
  const first = await claimed();
  await endAttempt(sql, first, { is: "released" });
  const second = await claimNextJob(sql, [first.kind], claimant);
  ok(second);
  const complete = (job: ClaimedJob) =>
    completeJobWith(sql, job, (tx) => tx`insert into finished_jobs values (${job.id})`);
  strictEqual(await complete(first), undefined);
  strictEqual((await rowOf(first.id)).state, "running");
  strictEqual(await complete(second), "now");
  strictEqual(await complete(second), "before");
  strictEqual(await complete(first), undefined);
  strictEqual((await sql`select from finished_jobs where id = ${first.id}`).count, 1);
});

Deno.test("a completion waits for an earlier try that is still committing, and then reports that it was done before", async () => {
  const job = await claimed();
  const done = `update lotline.jobs set state = 'done' where id = '${job.id}'`;
  await using first = await openTransaction(sql, done);
  let effects = 0;
  const again = completeJobWith(sql, job, () => Promise.resolve(effects++));
  await eventually("it waits for the first", async () => await lockWaits(sql) > 0);
  await first.commit();
  deepStrictEqual([await again, effects], ["before", 0]);
});

Deno.test("a failing effect leaves the job unchanged for its next try", async () => {
  await sql`create table effects_of_jobs (id uuid)`;
  const job = await claimed();
  const before = await rowOf(job.id);
  const stored = (tx: Sql) => tx`insert into effects_of_jobs values (${job.id})`;
  await rejects(
    completeJobWith(sql, job, async (tx) => {
      await stored(tx);
      await tx`select 1 / 0`;
    }),
    { code: "22012" },
  );
  deepStrictEqual(await rowOf(job.id), before);
  strictEqual((await sql`select from effects_of_jobs`).count, 0);
  strictEqual(await completeJobWith(sql, job, stored), "now");
  strictEqual((await sql`select from effects_of_jobs`).count, 1);
});

/** Every end of a job, and its state after it. */
const ENDS: [
  state: string,
  end: (job: ClaimedJob) => Promise<unknown>,
  lastError: RegExp | null,
][] = [
  ["done", (job) => completeJob(sql, job), null],
  ["dead", (job) => endAttempt(sql, job, { is: "failed", error: "no" }), /^no$/],
  ["cancelled", async (job) => {
    await cancelJob(sql, job.id);
    return await endAttempt(sql, job, { is: "cancelled" });
  }, null],
  ["dead", async (job) => {
    await endAttempt(sql, job, { is: "released" });
    await sql`update lotline.jobs set run_at = now() - interval '169 hours' where id = ${job.id}`;
    deepStrictEqual([...await discardUnknownKinds(sql, ["known"])], [{
      id: job.id,
      kind: job.kind,
    }]);
  }, /^no worker knows jobs of kind attempted_\d+$/],
];

for (const [state, end, lastError] of ENDS) {
  const why = lastError === null ? "" : ` with ${lastError.source}`;
  Deno.test(`a job that is ${state}${why} has an end and no attempt that holds it`, async () => {
    const job = await claimed();
    strictEqual((await rowOf(job.id)).finished_at, null);
    await end(job);
    const row = await rowOf(job.id);
    deepStrictEqual(
      [row.state, row.finished_at === null, row.worker, row.lease_until],
      [state, false, null, null],
    );
    ok(lastError === null ? row.last_error === null : lastError.test(String(row.last_error)));
  });
}

Deno.test("a job of an unknown kind waits a week for a worker that knows it; a known one waits without a limit", async () => {
  const [early, due, known, running] = [
    await claimed(),
    await claimed(),
    await claimed(),
    await claimed(),
  ];
  for (const job of [early, due, known]) await endAttempt(sql, job, { is: "released" });
  const dueFor = (hours: number, { id }: ClaimedJob) =>
    sql`update lotline.jobs set run_at = now() - ${hours}::int * interval '1 hour'
      where id = ${id}`;
  await dueFor(167, early);
  for (const job of [due, known, running]) await dueFor(169, job);
  const others = await sql<{ kind: string }[]>`
    select kind from lotline.jobs where kind not in ${sql([early.kind, due.kind, running.kind])}`;
  const buried = await discardUnknownKinds(sql, [known.kind, ...others.map(({ kind }) => kind)]);
  deepStrictEqual([...buried], [{ id: due.id, kind: due.kind }]);
  deepStrictEqual(
    await Promise.all([early, known, running].map(async ({ id }) => (await rowOf(id)).state)),
    ["ready", "ready", "running"],
  );
});

Deno.test("a running job has its worker, its start and its lease, and no end", async () => {
  const job = await claimed();
  await endAttempt(sql, job, { is: "failed", error: "no", retryInMs: 0 });
  // As a worker of another release might have left it.
  await sql`update lotline.jobs set finished_at = now(), started_at = null where id = ${job.id}`;
  const again = await claimNextJob(sql, [job.kind], claimant);
  ok(again);
  const row = await rowOf(job.id);
  deepStrictEqual([row.worker, row.finished_at, row.attempt, again.attempt], [
    "tester",
    null,
    2,
    2,
  ]);
  const [times] = await sql<{ started: boolean; leased: boolean }[]>`
    select started_at is not null as started, lease_until > now() as leased
    from lotline.jobs where id = ${job.id}`;
  deepStrictEqual({ ...times }, { started: true, leased: true });
  ok(await completeJob(sql, again));
  strictEqual(
    (await rowOf(job.id)).last_error,
    null,
    "what failed before is no error of a done job",
  );
});

/** Every way in which an attempt returns its job to the queue. */
const GIVEN_BACK: [what: string, end: (job: ClaimedJob) => Promise<unknown>][] = [
  ["released", (job) => endAttempt(sql, job, { is: "released" })],
  ["deferred", (job) => endAttempt(sql, job, { is: "deferred", retryInMs: 0 })],
  ["failed", (job) => endAttempt(sql, job, { is: "failed", error: "no", retryInMs: 0 })],
  ["lost", async (job) => {
    await sql`update lotline.jobs set lease_until = now() - interval '1 s' where id = ${job.id}`;
    const lost = await rescueExpiredJobs(sql, {});
    ok(lost.some(({ id }) => id === job.id));
  }],
];

for (const [what, end] of GIVEN_BACK) {
  Deno.test(`the id of a job that was ${what} is put on its list again`, async () => {
    const job = await claimed();
    await sql`update lotline.jobs set pushed_at = now() where id = ${job.id}`;
    const lists = [{ kind: job.kind, priority: job.priority, room: 9 }];
    await end(job);
    deepStrictEqual((await takeUnpushedJobs(sql, lists)).map(({ id }) => id), [job.id]);
  });
}

Deno.test("without Valkey the most urgent job comes first, then the one whose turn it is, then the oldest", async () => {
  const names = [`ordered_${kinds++}`, `ordered_${kinds++}`];
  const [one = "", other = ""] = names;
  const add = async (kind: string, priority: number, turn: number, secondsAgo: number) => {
    const [row] = await sql<{ id: string }[]>`
      insert into lotline.jobs (kind, priority, turn, run_at)
      values (${kind}, ${priority}, ${turn}, now() - ${secondsAgo}::int * interval '1 s')
      returning id`;
    return row?.id;
  };
  const expected = [
    await add(other, 0, 9, 1),
    await add(one, 1, 5, 80),
    await add(one, 1, 6, 70),
    await add(one, 1, 6, 60),
    await add(other, 1, 1, 50),
    await add(other, 1, 2, 90),
  ];
  await add(one, 1, 1, -3_600);
  const claims: (string | undefined)[] = [];
  for (let i = 0; i <= expected.length; i++) {
    claims.push((await claimNextJob(sql, names, claimant))?.id);
  }
  deepStrictEqual(claims, [...expected, undefined], "one that isn't due yet waits");
});

Deno.test("the last reported progress of a job stays", async () => {
  const job = await claimed();
  await renewLease(sql, job, 60_000, { done: 1 });
  await renewLease(sql, job, 60_000, undefined);
  deepStrictEqual((await rowOf(job.id)).progress, { done: 1 });
  await renewLease(sql, job, 60_000, { done: 2, of: 3 });
  deepStrictEqual((await rowOf(job.id)).progress, { done: 2, of: 3 });
  deepStrictEqual({ ...await renewLease(sql, job, 60_000, undefined) }, {
    cancel_requested: false,
  });
});

Deno.test("a job that no client waits for is postponed, one that a client waits for isn't, and no attempt counts", async () => {
  const deferred = async (priority: 0 | 1) => {
    const job = await claimed();
    await sql`update lotline.jobs set priority = ${priority}, last_error = 'before'
      where id = ${job.id}`;
    strictEqual(await endAttempt(sql, job, { is: "deferred", retryInMs: 3_600_000 }), "ready");
    const { state, attempt, starts, last_error } = await rowOf(job.id);
    deepStrictEqual([state, attempt, starts, last_error], ["ready", 0, 1, "before"]);
    const [row] = await sql<{ minutes: number }[]>`
      select round(extract(epoch from run_at - updated.now) / 60)::int as minutes
      from lotline.jobs, (select now()) updated where id = ${job.id}`;
    return row?.minutes;
  };
  const [waitedFor, other] = [await deferred(0), await deferred(1)];
  ok(waitedFor !== undefined && waitedFor <= 0);
  // Minus the time that this test has taken since.
  ok(other !== undefined && other > 30 && other <= 60);
});
