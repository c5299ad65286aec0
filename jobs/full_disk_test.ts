import { deepStrictEqual, fail, strictEqual } from "node:assert/strict";
import { insertAudit } from "../db/audits.ts";
import { findJob } from "../db/jobs.ts";
import { fullDisk } from "../testing/full_disk.ts";
import { insertJob } from "../testing/insert_job.ts";
import { insertTrace, queueTrace } from "../db/traces.ts";
import { DEFAULT_LIMITS } from "../testing/audited_plant.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { insertChain } from "../testing/genealogy.ts";
import { auditGenealogy } from "./audit_genealogy.ts";
import { deepTrace } from "./deep_trace.ts";
import { refreshTraces } from "./refresh_traces.ts";
import { createThreads } from "./threads.ts";
import { upkeep } from "./upkeep.ts";
import { runWorker } from "./worker.ts";

const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

Deno.test("a full disk costs none of Lotline's own kinds of job an attempt, and each is done when there is space", async () => {
  const [lot] = await insertChain(sql, "FULL", 3);
  const traceId = crypto.randomUUID();
  await insertTrace(sql, {
    id: traceId,
    lotCode: "FULL-0",
    direction: "downstream",
    maxDepth: null,
    atMost: 10_000,
  }, null);
  deepStrictEqual(
    await queueTrace(sql, traceId, "tester", { ofAccount: 1, waiting: 10 }),
    { id: traceId },
  );
  await insertAudit(sql, null, "tester");
  await sql`insert into lotline.changed_lots (lot_id, xid) values (${lot ?? ""}, '1')`;
  await sql`insert into lotline.cron_runs (name, slot) values ('old', now() - interval '90 days')`;
  for (const { kind } of [refreshTraces, upkeep]) {
    await insertJob(sql, { kind, args: {}, priority: 1 });
  }
  const definitions = [deepTrace, auditGenealogy(DEFAULT_LIMITS), refreshTraces, upkeep];
  const jobOf = async (kind: string) => {
    const [row] = await sql<{ id: string }[]>`select id from lotline.jobs where kind = ${kind}`;
    return await findJob(sql, row?.id ?? "") ?? fail(`no job of kind ${kind}`);
  };
  const tables = ["trace_chunks", "audits", "changed_lots", "cron_runs"];
  await using full = new AsyncDisposableStack();
  for (const table of tables) full.use(await fullDisk(sql, `lotline.${table}`));
  const end = new AbortController();
  const lines: string[] = [];
  const ended = runWorker(definitions, {
    queueSql: sql,
    sql,
    createThreads: (statementTimeoutMs) =>
      createThreads({ databaseUrl: database.url, name: "lotline-test", statementTimeoutMs }),
    log: (_, event) => lines.push(event),
  }, { name: "tester", maxConcurrent: 4, leaseMs: 2_000, signal: end.signal });
  await using _worker = {
    [Symbol.asyncDispose]: async () => {
      end.abort();
      await ended;
    },
  };
  {
    await using _full = full.move();
    for (const { kind } of definitions) {
      await eventually(`${kind} is put off`, async () => {
        const job = await jobOf(kind);
        return job.starts > 0 && job.attempt === 0 && job.state === "ready";
      });
    }
  }
  for (const { kind } of definitions) {
    await eventually(`${kind} is done`, async () => (await jobOf(kind)).state === "done");
    strictEqual((await jobOf(kind)).attempt, 1, kind);
  }
  strictEqual(lines.includes("job_failed"), false);
});
