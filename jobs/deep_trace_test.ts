import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { deleteTrace, findTraceById, finishTrace, insertTrace, queueTrace } from "../db/traces.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { insertChain } from "../testing/genealogy.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import { runJob } from "../testing/run_job.ts";
import { deepTrace } from "./deep_trace.ts";
import { lockWaits } from "../testing/lock_waits.ts";

const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

const BOUNDS = { ofAccount: 10, waiting: 10 };

/** A waiting trace of a new chain of lots. */
async function queuedTrace(code: string, length = 3): Promise<{ traceId: string; ids: string[] }> {
  const ids = await insertChain(sql, code, length);
  const traceId = crypto.randomUUID();
  const requested = {
    id: traceId,
    direction: "downstream",
    maxDepth: null,
    atMost: 10_000,
  } as const;
  await insertTrace(sql, { ...requested, lotCode: `${code}-0` }, null);
  deepStrictEqual(await queueTrace(sql, traceId, "tester", BOUNDS), { id: traceId });
  return { traceId, ids };
}

Deno.test("an attempt whose job another one holds changes nothing", async () => {
  const { traceId } = await queuedTrace("TAKEN");
  await runJob(database, deepTrace, { traceId }, { isMine: false });
  strictEqual((await findTraceById(sql, traceId))?.run, null);
  const run = await runJob(database, deepTrace, { traceId });
  const trace = await findTraceById(sql, traceId);
  deepStrictEqual([trace?.state, trace?.run, trace?.summary?.lot_count], ["done", run, 3]);
});

Deno.test("a done trace stays unchanged, and a missing one is no failure", async () => {
  const { traceId } = await queuedTrace("DONE");
  const run = await runJob(database, deepTrace, { traceId });
  await runJob(database, deepTrace, { traceId });
  strictEqual((await findTraceById(sql, traceId))?.run, run);
  await runJob(database, deepTrace, { traceId: crypto.randomUUID() });
});

Deno.test("a done trace is not done again by any attempt", async () => {
  const { traceId } = await queuedTrace("TWICE");
  const run = await runJob(database, deepTrace, { traceId });
  const trace = await findTraceById(sql, traceId);
  if (!trace?.summary) throw new Error("the trace is not done");
  const other = { attemptId: crypto.randomUUID(), asOf: "2026-01-01", snapshot: "1:1:" };
  strictEqual(await finishTrace(sql, traceId, { ...other, summary: trace.summary }), false);
  strictEqual((await findTraceById(sql, traceId))?.run, run);
});

Deno.test("a trace that is deleted while it is being queued leaves neither a job nor a key", async () => {
  await insertChain(sql, "FORGOTTEN", 2);
  const id = crypto.randomUUID();
  const requested = { id, direction: "downstream", maxDepth: null, atMost: 10_000 } as const;
  await insertTrace(sql, { ...requested, lotCode: "FORGOTTEN-0" }, null);
  const key = { caller: "", key: "forgotten", request: "00".repeat(32) };
  await using forgetting = await openTransaction(
    sql,
    `delete from lotline.traces where id = '${id}'`,
  );
  const refused = rejects(queueTrace(sql, id, "tester", BOUNDS, key), /gone/);
  await eventually("it waits", async () => await lockWaits(sql) > 0);
  await forgetting.commit();
  await refused;
  const [left] = await sql`
    select (select count(*)::int from lotline.jobs where arguments->>'traceId' = ${id}) as jobs,
      (select count(*)::int from lotline.idempotency_keys where key = 'forgotten') as keys`;
  deepStrictEqual(left, { jobs: 0, keys: 0 });
});

Deno.test("a trace with a job is not deleted", async () => {
  const { traceId } = await queuedTrace("QUEUED");
  await deleteTrace(sql, traceId);
  strictEqual((await findTraceById(sql, traceId))?.state, "queued");
});

Deno.test("a lot that was deleted in between has an empty result", async () => {
  const { traceId, ids } = await queuedTrace("GONE", 1);
  await sql`delete from lots where id = ${ids[0] ?? ""}`;
  await runJob(database, deepTrace, { traceId });
  const { summary } = await findTraceById(sql, traceId) ?? {};
  deepStrictEqual(summary, {
    lot_count: 0,
    link_count: 0,
    depth_reached: 0,
    truncated: false,
    half_links: 0,
    totals: [],
    cycles: [],
    cycles_truncated: false,
  });
});

Deno.test("a trace reports its progress, and stores nothing when it is cancelled", async () => {
  const { traceId } = await queuedTrace("CALLED-OFF", 20);
  const notified: unknown[] = [];
  const abort = new AbortController();
  const reason = new Error("called off");
  {
    // It walks no further than its first lot.
    await using _lock = await openTransaction(sql, "lock table lot_genealogy");
    const attempt = runJob(database, deepTrace, { traceId }, {
      signal: abort.signal,
      progress(soFar) {
        notified.push(soFar);
        abort.abort(reason);
      },
    });
    await rejects(attempt, reason);
  }
  deepStrictEqual(notified, [{ lots: 1, depth: 0 }]);
  strictEqual((await findTraceById(sql, traceId))?.state, "queued");
  const chunks = await sql`
    select from lotline.trace_chunks where lot_ids && (
      select array_agg(id) from lots where lot_code like 'CALLED-OFF-%')`;
  strictEqual(chunks.length, 0);
});

Deno.test("when cancelled during its writes, a trace stops immediately on both sessions", async () => {
  const { traceId } = await queuedTrace("WRITING");
  await using _lock = await openTransaction(sql, "lock table lotline.trace_chunks");
  const abort = new AbortController();
  const attempt = runJob(database, deepTrace, { traceId }, { signal: abort.signal });
  await eventually("it writes lots and links", async () => await lockWaits(sql) === 2);
  const reason = new Error("called off");
  abort.abort(reason);
  await rejects(attempt, reason);
  // The lock is still held.
  await eventually("PostgreSQL has given both up", async () => await lockWaits(sql) === 0);
});
