import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { REFRESH_TRACES_KIND } from "../db/trace_changes.ts";
import { insertTrace, queueTrace } from "../db/traces.ts";
import { freshDatabase, type TestDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { insertChain } from "../testing/genealogy.ts";
import { runJob } from "../testing/run_job.ts";
import { deepTrace } from "./deep_trace.ts";
import { runRelay } from "./relay.ts";

/** Takes the deep trace of A-0 and returns its id; the queue is empty then. */
async function takeTrace(database: TestDatabase): Promise<string> {
  const { sql } = database;
  const id = crypto.randomUUID();
  const requested = { id, lotCode: "A-0", direction: "downstream", maxDepth: null } as const;
  await insertTrace(sql, { ...requested, atMost: 100 }, null);
  await queueTrace(sql, id, "tester", { ofAccount: 100, waiting: 100 });
  await runJob(database, deepTrace, { traceId: id });
  await sql`delete from lotline.jobs`;
  return id;
}

Deno.test("a running relay wakes the refresh of deep traces each time lots are changed", async () => {
  await using database = await freshDatabase();
  const { sql, url } = database;
  const [, middle = ""] = await insertChain(sql, "A", 3);
  const id = await takeTrace(database);

  const stop = new AbortController();
  const running = runRelay({ databaseUrl: url, log: () => {} }, stop.signal);
  try {
    for (const round of [1, 2]) {
      await sql`update lots set weight_kg = ${round} where id = ${middle}`;
      await eventually("the relay has put the job that marks traces into the queue", async () => {
        const waiting = await sql`
          select from lotline.jobs where kind = ${REFRESH_TRACES_KIND} and state = 'ready'`;
        return waiting.count === 1;
      });
      // As if it had run, and still had work.
      await sql`update lotline.jobs set state = 'done', finished_at = now()`;
    }
    const [row] = await sql<{ is_marked: boolean }[]>`
      select out_of_date as is_marked from lotline.traces where id = ${id}`;
    strictEqual(row?.is_marked, false, "the relay only wakes the job; it doesn't do its work");
  } finally {
    stop.abort();
    await running;
  }
});

Deno.test("the job that marks traces carries the traces of the changes, and of no other writer", async () => {
  await using database = await freshDatabase();
  const { sql, url } = database;
  const [first = "", middle = ""] = await insertChain(sql, "A", 3);
  await takeTrace(database);
  await sql`delete from lotline.outbox`;

  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  await sql.begin(async (tx) => {
    await tx`select set_config('lotline.traceparent', ${traceparent}, true)`;
    await tx`update lots set weight_kg = 7 where id = ${middle}`;
  });
  // On a connection that has carried a trace before.
  for (let writer = 0; writer < sql.options.max; writer++) {
    await sql`update lots set weight_kg = ${writer} where id = ${first}`;
  }
  const changes = await sql`select traceparent from lotline.outbox order by xid`;
  deepStrictEqual(
    changes.map((change) => change.traceparent),
    [traceparent, ...Array(sql.options.max).fill(null)],
  );
  const stop = new AbortController();
  const running = runRelay({ databaseUrl: url, log: () => {} }, stop.signal);
  try {
    await eventually("the job has the trace", async () => {
      const [job] = await sql`
        select traceparent from lotline.jobs where kind = ${REFRESH_TRACES_KIND}`;
      return job?.traceparent === traceparent;
    });
  } finally {
    stop.abort();
    await running;
  }
});
