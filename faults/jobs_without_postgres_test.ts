import { ok } from "node:assert/strict";
import { connect } from "../db/connect.ts";
import type { Sql } from "../db/sql.ts";
import { findJob } from "../db/jobs.ts";
import { migrate } from "../db/migrate.ts";
import type { PostgresServer } from "../dev/postgres.ts";
import { eventually } from "../testing/eventually.ts";
import {
  allCountOnce,
  createEffects,
  enqueueCount,
  enqueueCounts,
  startJobWorker,
} from "../testing/job_workers.ts";
import { ownPostgres } from "../testing/postgres_servers.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { delay } from "../timing.ts";

Deno.test("workers survive outages of PostgreSQL, and each job is done once", async () => {
  await using postgres = await ownPostgres();
  await using valkey = await ownValkey();
  const { server } = postgres;
  await migrate(server.url, () => {});
  await using stack = new AsyncDisposableStack();
  const sql = stack.adopt(connect({ url: server.url }), (sql) => sql.end({ timeout: 1 }));
  await createEffects(sql);
  const names = await finishAfterCrash(server, sql);
  // One takes its jobs from the lists, the other one from PostgreSQL.
  const workers = await Promise.all(
    [valkey.server.url, undefined].map((valkeyUrl) =>
      startJobWorker({ databaseUrl: server.url, valkeyUrl, leaseMs: 2_000 })
    ),
  );
  for (const worker of workers) stack.use(worker);
  names.push(...await enqueueCounts(sql, 300, 100));
  await eventually("jobs run", async () => {
    const [row] = await sql<{ done: number }[]>`
      select count(*)::int as done from lotline.jobs where state = 'done'`;
    return (row?.done ?? 0) > 20;
  });
  await server.kill();
  await delay(700);
  await server.start();
  await delay(400);
  await server.restart();
  await eventually("jobs run again", async () => {
    const running = await sql`
      select from lotline.jobs where started_at > pg_postmaster_start_time()`.catch(() => []);
    return running.length > 0;
  });
  await allCountOnce(sql, names);
  for (const { process } of workers) {
    const isAlive = await Promise.race([
      process.status.then(() => false),
      delay(50).then(() => true),
    ]);
    ok(isAlive, "a worker has ended");
  }
});

/**
 * A job that finishes while PostgreSQL is unavailable is stored when it is back, and isn't run
 * again.
 */
async function finishAfterCrash(server: PostgresServer, sql: Sql): Promise<string[]> {
  // A lease too long to wait for.
  await using _worker = await startJobWorker({ databaseUrl: server.url, leaseMs: 60_000 });
  const id = await enqueueCount(sql, { name: "finished", ms: 500 });
  await eventually("it runs", async () => (await findJob(sql, id))?.state === "running");
  await server.kill();
  await delay(700);
  await server.start();
  await eventually("it is done", async () => {
    const job = await findJob(sql, id).catch(() => undefined);
    return job?.state === "done" && job.attempt === 1;
  });
  return ["finished"];
}
