import { deepStrictEqual, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { findAudit, insertAudit, insertAuditOfSlot, listFindings } from "../db/audits.ts";
import { claimJobInTurn, completeJobWith } from "../db/job_attempts.ts";
import { buildPlant, DEFAULT_LIMITS } from "../testing/audited_plant.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { auditGenealogy } from "./audit_genealogy.ts";
import type { Effect } from "./define_job.ts";
import { createThreads } from "./threads.ts";
import { runWorker } from "./worker.ts";

const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

const newThreads = (statementTimeoutMs: number) =>
  createThreads({ databaseUrl: database.url, name: "lotline-test", statementTimeoutMs });
const job = auditGenealogy(DEFAULT_LIMITS);
const send = () => insertAudit(sql, null, "tester");

/** Runs a worker on the waiting jobs, until `isSo`. */
async function work(
  what: string,
  isSo: () => Promise<boolean>,
  doing = job,
): Promise<void> {
  const end = new AbortController();
  const ended = runWorker([doing], {
    queueSql: sql,
    sql,
    createThreads: newThreads,
    valkey: undefined,
    log: () => {},
  }, { name: "tester", maxConcurrent: 1, signal: end.signal });
  try {
    await eventually(what, isSo);
  } finally {
    end.abort();
    await ended;
  }
}

const isDone = (id: string) => async () => (await findAudit(sql, id))?.state === "done";

async function kindsIn(id: string): Promise<string[]> {
  const { items } = await listFindings(sql, id, { limit: 100 });
  return items.map(({ finding }) => `${finding.standing} ${finding.kind}`);
}

/** Starts the audit's job directly and does its work, without the end. */
async function attempt(id: string) {
  const [row] = await sql<{ job_id: string }[]>`
    select job_id from lotline.audits where id = ${id}`;
  const claimed = await claimJobInTurn(sql, row?.job_id ?? "", {
    worker: "by hand",
    leaseMs: 60_000,
  });
  ok(claimed !== undefined);
  using threads = newThreads(0);
  const { signal } = new AbortController();
  const progress = () => {};
  let effect: Effect | undefined;
  await job.run(job.args.parse(claimed.arguments), {
    sql,
    onThread: (task, args) => threads.run(task, args, { signal, progress }),
    attemptId: claimed.token,
    signal,
    progress,
    log: () => {},
    complete(given) {
      effect = given;
      return Promise.resolve();
    },
  });
  return {
    claimed,
    finish: () => completeJobWith(sql, claimed, async (tx) => await effect?.(tx)),
  };
}

/** A plant with one lot of this weight. */
const plantWith = (kg: string) => buildPlant(sql, { lots: { R: { kg } } });

Deno.test("a requested audit is queued, done by a worker, and then shows its findings", async () => {
  await plantWith("-1");
  const requested = await send();
  deepStrictEqual([requested.state, requested.progress, requested.summary], ["queued", null, null]);
  await work("the audit is done", isDone(requested.id));
  const done = await findAudit(sql, requested.id);
  deepStrictEqual([done?.summary?.lots, done?.progress, done?.compared_with], [1, null, null]);
  ok(done?.as_of && done.finished_at && done.as_of <= done.finished_at);
  deepStrictEqual(await kindsIn(requested.id), ["new negative_weight"]);
});

Deno.test("every night there is one audit, unless one waits or runs; a person's request makes it urgent", async () => {
  await sql`truncate lotline.jobs, lotline.audits`;
  const nights = ["2026-01-01T02:00:00.000Z", "2026-01-02T02:00:00.000Z"] as const;
  const night = (at: string) => insertAuditOfSlot(sql, { name: "audit", at });
  const counts = async () => [
    (await sql`select from lotline.jobs`).length,
    (await sql`select from lotline.audits`).length,
  ];
  await Promise.all([night(nights[0]), night(nights[0]), night(nights[0])]);
  deepStrictEqual(await counts(), [1, 1]);
  const priorities = async () =>
    (await sql`select priority from lotline.jobs`).map(({ priority }) => priority);
  deepStrictEqual(await priorities(), [1]);
  const { id } = await send();
  deepStrictEqual([await counts(), await priorities()], [[1, 1], [0]]);
  await night(nights[1]);
  deepStrictEqual(await counts(), [1, 1]);

  ok(await (await attempt(id)).finish());
  await night(nights[1]);
  deepStrictEqual(await counts(), [1, 1]);
  await night("2026-01-03T02:00:00.000Z");
  deepStrictEqual(await counts(), [2, 2]);
});

Deno.test("while an audit runs, every request returns that one", async () => {
  await sql`truncate lotline.jobs, lotline.audits`;
  const first = await send();
  const { finish } = await attempt(first.id);
  deepStrictEqual([(await send()).id, (await findAudit(sql, first.id))?.state], [
    first.id,
    "running",
  ]);
  strictEqual((await sql`select from lotline.audits`).length, 1);
  ok(await finish());
  notStrictEqual((await send()).id, first.id);
});

Deno.test("ten concurrent requests return one audit", async () => {
  await sql`truncate lotline.jobs, lotline.audits, lotline.audit_findings`;
  const requested = await Promise.all(Array.from({ length: 10 }, () => send()));
  strictEqual(new Set(requested.map(({ id }) => id)).size, 1);
  strictEqual((await sql`select from lotline.audits`).length, 1);
});

Deno.test("an attempt's findings count only when it ends the job: a refused one leaves the last result", async () => {
  await sql`truncate lotline.jobs`;
  await plantWith("-1");
  const first = await send();
  ok(await (await attempt(first.id)).finish());

  await sql`update lots set weight_kg = 'NaN'`;
  const second = await send();
  const { claimed, finish } = await attempt(second.id);
  deepStrictEqual(await kindsIn(second.id), []);
  strictEqual((await findAudit(sql, second.id))?.state, "running");
  // Its lease was lost, and the job belongs to another attempt by now.
  await sql`update lotline.jobs set token = gen_random_uuid() where id = ${claimed.id}`;
  strictEqual(await finish(), undefined);
  deepStrictEqual(await kindsIn(second.id), []);
  deepStrictEqual(await kindsIn(first.id), ["new negative_weight"]);

  await sql`update lotline.jobs set state = 'dead', finished_at = now() where id = ${claimed.id}`;
  strictEqual((await findAudit(sql, second.id))?.state, "failed");
  const third = await send();
  ok(await (await attempt(third.id)).finish());
  strictEqual((await findAudit(sql, third.id))?.compared_with, first.id);
  deepStrictEqual(await kindsIn(third.id), ["gone negative_weight", "new weight_not_a_number"]);
});

Deno.test("a cancelled audit has the state cancelled, and one without its job has failed", async () => {
  await sql`truncate lotline.jobs, lotline.audits`;
  const { id } = await send();
  await sql`update lotline.jobs set state = 'cancelled'`;
  strictEqual((await findAudit(sql, id))?.state, "cancelled");
  await sql`delete from lotline.jobs`;
  strictEqual((await findAudit(sql, id))?.state, "failed");
});

Deno.test("the progress of an audit is visible while it runs", async () => {
  await sql`truncate lotline.jobs, lotline.audits`;
  const { id } = await send();
  const progress = { checked: 3, of: 17, lots: 10, links: 20 };
  await sql`update lotline.jobs set state = 'running', progress = ${sql.json(progress)}`;
  deepStrictEqual((await findAudit(sql, id))?.progress, progress);
  await sql`update lotline.jobs set state = 'dead'`;
  strictEqual((await findAudit(sql, id))?.progress, null);
});

Deno.test("a scheduled audit doesn't start in the quiet hours; a person's starts immediately", async () => {
  const minute = Math.floor(Date.now() / 60_000) % 1_440;
  const quietHours = [{ from: (minute + 1_380) % 1_440, to: (minute + 60) % 1_440 }];
  const quietJob = auditGenealogy(DEFAULT_LIMITS, quietHours);
  const at = new Date(0).toISOString();
  strictEqual(await insertAuditOfSlot(sql, { name: "quiet", at }), true);
  const [audit] = await sql<{ id: string; job_id: string }[]>`
    select id, job_id from lotline.audits order by created_at desc limit 1`;
  ok(audit !== undefined);
  const scheduled = async () => {
    const [row] = await sql<{ starts: number; attempt: number; minutes: number }[]>`
      select starts, attempt, (extract(epoch from run_at - now()) / 60)::float8 as minutes
      from lotline.jobs where id = ${audit.job_id} and state = 'ready'`;
    return row;
  };
  await work("it is put off", async () => (await scheduled())?.starts === 1, quietJob);
  const { attempt, minutes = 0 } = await scheduled() ?? {};
  strictEqual(attempt, 0);
  ok(minutes > 58 && minutes <= 60, `it waits for ${minutes} minutes`);
  strictEqual((await send()).id, audit.id);
  await work("it is done on request", isDone(audit.id), quietJob);
});
