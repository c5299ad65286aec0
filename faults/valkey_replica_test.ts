import { ok, strictEqual } from "node:assert/strict";
import { createClient } from "redis";
import { insertJob } from "../testing/insert_job.ts";
import { loadSeed, resetToSeed } from "../dev/seed.ts";
import { startApi } from "../testing/api.ts";
import { openLink } from "../testing/black_hole.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { startWorker } from "../testing/worker.ts";
import { delay } from "../timing.ts";
import { cacheCounts } from "./stumbling_hammer.ts";

// Runs alone: the API must notice within the promised time.

/** An API and a worker that reach Valkey by one address, and two Valkeys behind it. */
async function startBehindOneAddress() {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await freshDatabase());
  const [first, second] = [stack.use(await ownValkey()), stack.use(await ownValkey())];
  const link = stack.use(await openLink(first.server.port));
  const { sql } = database;
  await resetToSeed(sql, await loadSeed());
  const environment = { VALKEY_URL: `redis://127.0.0.1:${link.port}` };
  const api = stack.use(await startApi({ databaseUrl: database.url, environment }));
  const worker = stack.use(await startWorker({ databaseUrl: database.url, environment }));
  const notify = async (to: typeof first, ...command: string[]) => {
    const client = await createClient({ url: to.server.url }).connect();
    try {
      return await client.sendCommand(command);
    } finally {
      client.destroy();
    }
  };
  const hits = async () => (await cacheCounts(api))["reads hit"] ?? 0;
  const readiness = async () => (await api.get("/readyz")).json;
  return {
    api,
    first,
    second,
    link,
    notify,
    readiness,
    /** Waits until the trace cache and the lists of jobs are used, and readiness shows it. */
    async works() {
      const before = await hits();
      await eventually("the cache is used", async () => {
        strictEqual((await api.get("/api/traceability/MIX-BATCH-88")).status, 200);
        return await hits() > before;
      });
      await eventually("a job arrives through a list", async () => {
        const id = await insertJob(sql, { kind: "upkeep", args: {}, priority: 0 });
        const done = () =>
          sql`select pushed_at from lotline.jobs where id = ${id} and state = 'done'`;
        await eventually("it is done", async () => (await done()).count > 0);
        return (await done())[0]?.pushed_at !== null;
      });
      strictEqual((await readiness()).valkey, "up");
    },
    /** The log lines about Valkey, of both processes. */
    said: () => [...api.log.lines, ...worker.log.lines].filter((line) => line.includes("valkey")),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

Deno.test("when the Valkeys behind an address swap roles, cache and lists are used on the new one", async () => {
  await using it = await startBehindOneAddress();
  await it.works();
  it.link.lead(it.second.server.port);
  await it.notify(it.first, "REPLICAOF", "127.0.0.1", String(it.second.server.port));
  await eventually("it is noticed", async () => {
    return Number(await it.notify(it.second, "EXISTS", "{lotline:traces}:epoch")) === 1;
  });
  await it.works();
  ok(it.said().length <= 8, it.said().join("\n"));
});

Deno.test("while the only Valkey is a replica, readiness and one log line say so; as a master it is used again", async () => {
  await using it = await startBehindOneAddress();
  await it.works();
  await it.notify(it.first, "REPLICAOF", "127.0.0.1", String(it.second.server.port));
  await eventually("readiness tells", async () => {
    const { valkey, valkey_problem } = await it.readiness();
    return valkey === "away" && valkey_problem === "readonly";
  });
  for (let n = 0; n < 20; n++) {
    strictEqual((await it.api.get("/api/traceability/MIX-BATCH-88")).status, 200);
    await delay(100);
  }
  strictEqual((await it.readiness()).valkey_problem, "readonly");
  await it.notify(it.first, "REPLICAOF", "NO", "ONE");
  await it.works();
  const reasons = it.said().filter((line) => line.includes('"reason":"readonly"'));
  ok(reasons.length <= 2, reasons.join("\n"));
  ok(it.said().length <= 8, it.said().join("\n"));
});
