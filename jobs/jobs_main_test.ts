import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { claimJobInTurn, completeJob, endAttempt } from "../db/job_attempts.ts";
import { findJob } from "../db/jobs.ts";
import { insertJob } from "../testing/insert_job.ts";
import { freshDatabase } from "../testing/database.ts";
import { taskOutput } from "../testing/task_output.ts";

const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

/** Runs `deno task jobs` with these arguments. */
const jobs = (words: string[], databaseUrl = database.url) =>
  taskOutput(["jobs", ...words], { DATABASE_URL: databaseUrl });

const send = (kind: string, uniqueKey?: string) =>
  insertJob(sql, {
    kind,
    args: { lot: "A\u001b[2J" },
    priority: 1,
    ...(uniqueKey && { uniqueKey }),
  });

async function claim(id: string) {
  const job = await claimJobInTurn(sql, id, { worker: "tester", leaseMs: 60_000 });
  if (job === undefined) throw new Error("it can't be claimed");
  return job;
}

async function dead(kind: string, error: string): Promise<string> {
  const id = await send(kind, "x");
  await endAttempt(sql, await claim(id), { is: "failed", error });
  return id;
}

Deno.test("list, dead and show print the jobs, without control characters", async () => {
  deepStrictEqual(await jobs(["list"]), { code: 0, output: "There are no such jobs.", error: "" });
  deepStrictEqual((await jobs(["dead"])).output, "There are no dead jobs.");
  const odd = await dead("odd\u001b[2J", "Error: \u001b]0;x\u0007 no");
  await completeJob(sql, await claim(await send("deep_trace")));
  const waiting = await send("deep_trace");

  const list = await jobs(["list", "--limit", "2"]);
  const [head, ...rows] = list.output.split("\n");
  match(head ?? "", /^id +kind +state +attempt +starts +created +progress$/);
  deepStrictEqual(rows.map((row) => row.split(/ +/).slice(1, 5)), [
    ["deep_trace", "ready", "0", "0"],
    ["deep_trace", "done", "1", "1"],
  ]);
  const some = await jobs(["list", "--state", "ready", "--kind", "deep_trace"]);
  strictEqual(some.output.split("\n").length, 2);
  match(some.output, new RegExp(`^${waiting} `, "m"));
  match(
    (await jobs(["dead"])).output,
    new RegExp(
      `^${odd}  odd\\?\\[2J  \\S+Z  after 1 attempts, 1 starts\n  Error: \\?\\]0;x\\? no$`,
    ),
  );
  const shown = await jobs(["show", odd]);
  match(shown.output, /^starts +1$/m);
  match(shown.output, /^kind +odd\?\[2J$/m);
  match(shown.output, /^arguments +\{"lot":"A\\u001b\[2J"\}$/m);
  match(shown.output, /^unique_key +x$/m);
  ok(!/[\x00-\x09\x0b-\x1f]/.test(shown.output + list.output));
});

Deno.test("retry and cancel report what they did, and why they can't", async () => {
  const id = await dead("retried", "x");
  deepStrictEqual(await jobs(["retry", id]), {
    code: 0,
    output: `retried ${id} is ready again`,
    error: "",
  });
  const again = await jobs(["retry", id]);
  deepStrictEqual([again.code, again.error], [
    1,
    `Job ${id} is ready: only a dead or cancelled one is retried`,
  ]);
  deepStrictEqual((await jobs(["cancel", id])).output, `retried ${id} is cancelled`);
  const over = await jobs(["cancel", id]);
  deepStrictEqual([over.code, over.error], [1, `Job ${id} is cancelled already`]);
  const twin = await send("retried", "x");
  const refused = await jobs(["retry", id]);
  deepStrictEqual(
    [refused.code, refused.error],
    [1, "The same work waits or runs already, as another job: see list"],
  );
  await claim(twin);
  deepStrictEqual(
    (await jobs(["cancel", twin])).output,
    `retried ${twin} runs, and is asked to stop`,
  );
  strictEqual((await findJob(sql, twin))?.cancel_requested, true);
});

Deno.test("retry --kind retries the dead jobs of this kind only, and counts those whose work waits already", async () => {
  const first = await dead("stuck", "the disk was full");
  const second = await dead("stuck", "the disk was full");
  const other = await dead("not stuck", "x");
  const shown = await jobs(["retry", "--kind", "stuck"]);
  deepStrictEqual(shown, {
    code: 0,
    output: "1 dead jobs are ready again, 1 stay dead: the same work waits or runs already",
    error: "",
  });
  const states = await Promise.all(
    [first, second, other].map(async (id) => (await findJob(sql, id))?.state),
  );
  deepStrictEqual(states, ["ready", "dead", "dead"]);
});

Deno.test("cancel cancels all jobs of a kind, an account or an age, and reports the number", async () => {
  const many = async (account: string, count: number, minutes: number, kind = "many") => {
    await sql`
      insert into lotline.jobs (kind, account, created_at)
      select ${kind}, ${account}, now() - ${minutes}::int * interval '1 minute'
      from generate_series(1, ${count}::int)`;
  };
  const ready = async () =>
    (await sql<{ of: string; count: number }[]>`
      select kind || ' ' || account as of, count(*)::int from lotline.jobs
      where state = 'ready' and kind in ('many', 'other') group by 1 order by 1`)
      .map(({ of, count }) => `${of} ${count}`);
  await many("10.0.0.1", 2_500, 0);
  await many("10.0.0.1", 3, 90);
  await many("10.0.0.2", 4, 90);
  await many("10.0.0.1", 5, 90, "other");
  const [running] = await sql<{ id: string }[]>`
    select id from lotline.jobs where account = '10.0.0.1' and kind = 'many' limit 1`;
  await claim(running?.id ?? "");

  const old = await jobs([
    "cancel",
    "--account",
    "10.0.0.1",
    "--older-than",
    "1h",
    "--kind",
    "many",
  ]);
  deepStrictEqual([old.code, old.error], [0, ""]);
  match(old.output, /^[23] waiting jobs are cancelled, [01] that run are asked to stop$/);
  const all = await jobs(["cancel", "--account", "10.0.0.1", "--kind", "many"]);
  match(all.output, /^(2500|2499) waiting jobs are cancelled, [01] that run are asked to stop$/);
  deepStrictEqual(await ready(), ["many 10.0.0.2 4", "other 10.0.0.1 5"]);
  strictEqual((await findJob(sql, running?.id ?? ""))?.cancel_requested, true);
  const nothing = "0 waiting jobs are cancelled, 0 that run are asked to stop";
  strictEqual((await jobs(["cancel", "--account", "10.0.0.1", "--kind", "many"])).output, nothing);
  strictEqual((await jobs(["cancel", "--kind", "other", "--older-than", "2h"])).output, nothing);
  deepStrictEqual((await ready()).length, 2);

  const bad = await jobs(["cancel", "--older-than", "1 hour"]);
  deepStrictEqual([bad.code, bad.error], [
    1,
    "An age is a number with s, m, h or d behind it, such as 2h",
  ]);
  const both = [["cancel"], ["cancel", crypto.randomUUID(), "--kind", "many"]];
  for (const words of [...both, ["retry"], ["retry", crypto.randomUUID(), "--kind", "many"]]) {
    strictEqual((await jobs(words)).code, 2, words.join(" "));
  }
  deepStrictEqual((await ready()).length, 2);
});

Deno.test("an unknown command prints the usage; a mistake prints one sentence", async () => {
  for (const words of [[], ["constructor"], ["show"], ["dead", "--state", "done"]]) {
    const { code, output, error } = await jobs(words);
    deepStrictEqual([code, output], [2, ""], words.join(" "));
    match(error, /^usage: DATABASE_URL=… deno task jobs <command>/);
  }
  const unknown = crypto.randomUUID();
  const mistakes: [words: string[], error: string | RegExp][] = [
    [["show", unknown], `There is no job ${unknown}`],
    [["show", "x'"], `"x'" is no id of a job`],
    [["list", "--state", "Done"], "A state is one of ready running done dead cancelled"],
    [["list", "--limit", "0"], "A limit is a number from 1 to 1000"],
  ];
  for (const [words, sentence] of mistakes) {
    const { code, output, error } = await jobs(words);
    deepStrictEqual([code, output, error], [1, "", sentence]);
  }
  strictEqual((await jobs(["list"], "mysql://x")).code, 2);
  await using unmigrated = await freshDatabase({ migrated: false });
  deepStrictEqual(await jobs(["list"], unmigrated.url), {
    code: 1,
    output: "",
    error:
      'The database lacks Lotline\'s tables: run deno task migrate (relation "lotline.jobs" does not exist)',
  });
});
