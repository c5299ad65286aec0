import { ok } from "node:assert/strict";
import { createClient } from "redis";
import type { Sql } from "../db/sql.ts";
import { openLink } from "../testing/black_hole.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import {
  allCountOnce,
  createEffects,
  enqueueCount,
  enqueueCounts,
  startJobWorker,
} from "../testing/job_workers.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { delay } from "../timing.ts";

/** Queues jobs until one arrives through a list. */
async function untilListsWork(sql: Sql): Promise<string[]> {
  const names: string[] = [];
  await eventually("a job arrives through a list", async () => {
    const name = crypto.randomUUID();
    names.push(name);
    const id = await enqueueCount(sql, { name, ms: 0 });
    await eventually("it is done", async () => {
      const done = await sql`select from lotline.jobs where id = ${id} and state = 'done'`;
      return done.count > 0;
    });
    const pushed = await sql`
      select from lotline.jobs where id = ${id} and pushed_at is not null`;
    return pushed.count > 0;
  });
  return names;
}

Deno.test("after FLUSHALL jobs are started again within a second, and none is lost or doubled", async () => {
  await using database = await freshDatabase();
  await using own = await ownValkey();
  const { sql } = database;
  await createEffects(sql);
  await using _worker = await startJobWorker({
    databaseUrl: database.url,
    valkeyUrl: own.server.url,
  });
  const names = await untilListsWork(sql);
  names.push(...await enqueueCounts(sql, 160, 60));
  await eventually("all are on the list or further", async () => {
    const rest = await sql`select from lotline.jobs where state = 'ready' and pushed_at is null`;
    return rest.count === 0;
  });
  const client = await createClient({ url: own.server.url }).connect();
  await client.flushAll();
  client.destroy();
  const [at] = await sql<{ now: string; ready: number }[]>`
    select clock_timestamp()::text as now,
      (select count(*)::int from lotline.jobs where state = 'ready') as ready`;
  ok(at !== undefined && at.ready > 40, `${at?.ready} jobs were left to be lost`);
  await delay(1_000);
  // Those that were popped before don't count.
  const started = await sql`
    select from lotline.jobs where started_at > ${at.now}::text::timestamptz + interval '100 ms'`;
  ok(started.count > 0, "nothing was started in a second");
  await allCountOnce(sql, names);
});

/** After this time a lost id is put on the lists again. */
const LOST_ID_MS = 10_000;

for (const how of ["gone", "a black hole"] as const) {
  Deno.test(`while Valkey is ${how} jobs are done as fast, and through it when it is back`, async () => {
    await using database = await freshDatabase();
    await using own = await ownValkey();
    await using link = await openLink(own.server.port);
    const { sql } = database;
    await createEffects(sql);
    await using _worker = await startJobWorker({
      databaseUrl: database.url,
      valkeyUrl: `redis://127.0.0.1:${link.port}`,
    });
    const names = await untilListsWork(sql);
    if (how === "gone") await own.server.kill();
    else link.swallow();
    const requested = performance.now();
    names.push(...await enqueueCounts(sql, 24, 20));
    await allCountOnce(sql, names);
    const took = performance.now() - requested;
    // Half a second until the failure is detected, and half a second's work.
    ok(took < LOST_ID_MS, `it took ${took} ms`);
    if (how === "gone") await own.server.start();
    else link.heal();
    names.push(...await untilListsWork(sql));
    await allCountOnce(sql, names);
  });
}
