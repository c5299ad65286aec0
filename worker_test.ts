import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { insertAudit } from "./db/audits.ts";
import { listJobs } from "./db/jobs.ts";
import { insertJob } from "./testing/insert_job.ts";
import { findTraceById, insertTrace, queueTrace } from "./db/traces.ts";
import { freshDatabase } from "./testing/database.ts";
import { eventually } from "./testing/eventually.ts";
import { insertChain } from "./testing/genealogy.ts";
import { readLines } from "./testing/lines.ts";
import { startTask } from "./testing/task_process.ts";

/** Runs `deno task worker` with these settings. */
function startWorker(environment: Record<string, string>) {
  return new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "worker"],
    cwd: new URL(".", import.meta.url),
    env: { NO_COLOR: "1", ...environment },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`the worker runs missed and requested jobs, and ends with 0 after ${signal}`, async () => {
    await using database = await freshDatabase();
    const { sql } = database;
    const process = startWorker({ DATABASE_URL: database.url });
    const log = readLines(process.stdout);
    await log.find((line) => line.includes('"event":"working"'));
    const done = async () =>
      (await listJobs(sql, { state: "done", kind: "upkeep", limit: 10 })).length;
    await eventually("the upkeep that was missed is done", async () => await done() === 1);
    await insertJob(sql, { kind: "upkeep", args: {}, priority: 0 });
    await eventually("another is done", async () => await done() === 2);
    process.kill(signal);
    const { code } = await process.status;
    await log.ended;
    const errors = await new Response(process.stderr).text();
    deepStrictEqual([code, errors], [0, ""]);
    ok(log.lines.at(-1)?.includes('"event":"stopped"'), log.lines.join("\n"));
  });
}

Deno.test("the worker's threads do audits and deep traces, with the permissions of its task", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await insertChain(sql, "A", 3);
  const id = crypto.randomUUID();
  const requested = { id, direction: "both", maxDepth: null, atMost: 100, lotCode: "A-1" } as const;
  await insertTrace(sql, requested, null);
  await queueTrace(sql, id, "test", { ofAccount: 100, waiting: 100 });
  await insertAudit(sql, null, "test");
  await using _worker = await startTask({
    task: "worker",
    env: { DATABASE_URL: database.url },
    isReady: (line) => line.includes('"event":"working"'),
  });
  const ended = async () => {
    const jobs = await listJobs(sql, { limit: 20 });
    return jobs.filter(({ kind, state, last_error }) =>
      ["deep_trace", "audit_genealogy"].includes(kind) && (state === "done" || last_error !== null)
    ).map(({ state, attempt, last_error }) => ({ state, attempt, last_error }));
  };
  await eventually("both have ended", async () => (await ended()).length === 2);
  deepStrictEqual(await ended(), Array(2).fill({ state: "done", attempt: 1, last_error: null }));
  strictEqual((await findTraceById(sql, id))?.summary?.lot_count, 3);
});

Deno.test("a worker with broken settings exits with 1 and prints only the message", async () => {
  const process = startWorker({ DATABASE_URL: "mysql://x", WORKER_CONCURRENCY: "none" });
  const { code, stdout, stderr } = await process.output();
  strictEqual(code, 1);
  strictEqual(new TextDecoder().decode(stdout), "");
  deepStrictEqual(
    new TextDecoder().decode(stderr).trim().split("\n").map((line) => line.split(":")[0]),
    ["Invalid settings", "  DATABASE_URL is invalid", "  WORKER_CONCURRENCY is invalid"],
  );
});
