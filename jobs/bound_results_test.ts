import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { insertTrace, queueTrace } from "../db/traces.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { insertTree } from "../testing/genealogy.ts";
import { runJob } from "../testing/run_job.ts";
import { startWorker } from "../testing/worker.ts";
import { deepTrace } from "./deep_trace.ts";

Deno.test("a result counts with its lots and links, and a worker keeps all results within the setting", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await insertTree(sql, "TREE", 60);
  const requested = { direction: "downstream", maxDepth: null } as const;
  const ids: string[] = [];
  for (let i = 0; i < 4; i++) {
    const id = crypto.randomUUID();
    await insertTrace(sql, { ...requested, id, lotCode: "TREE-0", atMost: 10_000 + i }, null);
    await queueTrace(sql, id, "tester", { ofAccount: 10, waiting: 10 });
    await runJob(database, deepTrace, { traceId: id });
    ids.push(id);
  }
  const [size] = await sql<{ counted: number; stored: number }[]>`
    select bytes::float8 as counted, (
      select sum(octet_length(body)) from lotline.trace_chunks where run = traces.run
    )::float8 as stored
    from lotline.traces where id = ${ids[0] ?? ""}`;
  ok(size !== undefined && size.counted > size.stored && size.counted < 2 * size.stored, "counted");

  // As if each took 60 MB, and the first three were finished long ago.
  await sql`update lotline.traces set bytes = 60000000`;
  await sql`
    update lotline.traces set as_of = as_of - interval '1 hour' where id <> ${ids[3] ?? ""}`;
  await using _worker = await startWorker({
    databaseUrl: database.url,
    environment: { TRACE_STORAGE_MAX_MB: "130" },
  });
  await eventually(
    "two are left",
    async () => (await sql`select from lotline.traces`).length === 2,
  );
  const left = await sql<{ id: string }[]>`select id from lotline.traces order by as_of`;
  deepStrictEqual(left.map(({ id }) => id), ids.slice(2));
  const runs = await sql`select distinct run from lotline.trace_chunks`;
  strictEqual(runs.length, 2);
});
