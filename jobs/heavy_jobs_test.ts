import { deepStrictEqual } from "node:assert/strict";
import { insertAudit } from "../db/audits.ts";
import { findJob, listJobs } from "../db/jobs.ts";
import { insertTrace, queueTrace } from "../db/traces.ts";
import { DEFAULT_LIMITS } from "../testing/audited_plant.ts";
import { freshDatabase, type TestDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { insertChain, insertLots } from "../testing/genealogy.ts";
import { auditGenealogy } from "./audit_genealogy.ts";
import { deepTrace } from "./deep_trace.ts";
import { runRelay } from "./relay.ts";
import { createThreads, type Threads } from "./threads.ts";
import { runWorker } from "./worker.ts";

const HELD_THREAD = new URL("../testing/held_thread.ts", import.meta.url);

/** A worker and a relay in this process, whose jobs are held while they compute. */
function startHeld({ sql, url }: TestDatabase, leaseMs: number) {
  const latch = new SharedArrayBuffer(3 * Int32Array.BYTES_PER_ELEMENT);
  const numbers = new Int32Array(latch);
  const end = new AbortController();
  const held = (threads: Threads): Threads => ({
    run: (task, args, options) => threads.run(task, { ...args, latch }, options),
    [Symbol.dispose]: () => threads[Symbol.dispose](),
  });
  const log = () => {};
  const ended = Promise.all([
    runRelay({ databaseUrl: url, log }, end.signal),
    runWorker([deepTrace, auditGenealogy(DEFAULT_LIMITS)], {
      sql,
      queueSql: sql,
      createThreads: (statementTimeoutMs) =>
        held(
          createThreads(
            { databaseUrl: url, name: "lotline-test", statementTimeoutMs },
            HELD_THREAD,
          ),
        ),
      log,
    }, { name: "tester", maxConcurrent: 1, leaseMs, signal: end.signal }),
  ]);
  return {
    isHeld: () => Promise.resolve(Atomics.load(numbers, 0) === 1),
    letGo() {
      Atomics.store(numbers, 1, 1);
      Atomics.notify(numbers, 1);
    },
    waitedTooLong: () => Atomics.load(numbers, 2) === 1,
    async [Symbol.asyncDispose]() {
      this.letGo();
      end.abort();
      await ended;
    },
  };
}

const QUEUE: Record<string, (database: TestDatabase) => Promise<unknown>> = {
  audit: ({ sql }) => insertAudit(sql, null, "test"),
  async "deep trace"({ sql }) {
    const id = crypto.randomUUID();
    const requested = { id, direction: "downstream", maxDepth: null, atMost: 100 } as const;
    await insertTrace(sql, { ...requested, lotCode: "A-0" }, null);
    await queueTrace(sql, id, "test", { ofAccount: 100, waiting: 100 });
  },
};

for (const [what, queue] of Object.entries(QUEUE)) {
  Deno.test(`while the ${what} of a worker computes, its lease is renewed and changes are relayed`, async () => {
    await using database = await freshDatabase();
    const { sql } = database;
    await insertChain(sql, "A", 3);
    // Renewed every third of it: a machine that pauses for a second loses no lease.
    const leaseMs = 4_000;
    await using worker = startHeld(database, leaseMs);
    await queue(database);
    await eventually("its thread computes", worker.isHeld);
    // The relay may have queued another job by now, of a kind that this worker doesn't run.
    const [{ id } = { id: "" }] = await listJobs(sql, { state: "running", limit: 1 });
    const leases = new Set<string>();
    let changes = 0;
    await eventually("its lease is renewed twice, and each change relayed", async () => {
      await insertLots(sql, [{ lot_code: `CHANGE-${changes++}` }]);
      await eventually("the change is relayed", async () => {
        const [row] = await sql<{ lease: string | null }[]>`
          select lease_until::text as lease from lotline.jobs where id = ${id}`;
        if (row?.lease) leases.add(row.lease);
        return (await sql`select from lotline.outbox limit 1`).length === 0;
      });
      return leases.size >= 3 && changes >= 20;
    });
    deepStrictEqual([(await findJob(sql, id))?.state, worker.waitedTooLong()], ["running", false]);
    worker.letGo();
    await eventually("the job is done", async () => (await findJob(sql, id))?.state === "done");
    deepStrictEqual([(await findJob(sql, id))?.attempt, worker.waitedTooLong()], [1, false]);
  });
}
