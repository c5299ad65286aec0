import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { loadSeed, resetToSeed } from "../dev/seed.ts";
import { startApi } from "../testing/api.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { startWorker } from "../testing/worker.ts";
import { cacheCounts } from "./stumbling_hammer.ts";

/** A plant of which a lot has this weight, with its API on a Valkey. */
async function startPlant(weightKg: number, valkeyUrl: string) {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await freshDatabase());
  await resetToSeed(database.sql, await loadSeed());
  await database.sql`update lots set weight_kg = ${weightKg}`;
  const environment = { VALKEY_URL: valkeyUrl };
  const api = stack.use(await startApi({ databaseUrl: database.url, environment }));
  const worker = () => startWorker({ databaseUrl: database.url, environment });
  const weight = async () =>
    (await api.get("/api/traceability/MIX-BATCH-88")).json.central.weight_kg;
  const cacheHits = async () => (await cacheCounts(api))["reads hit"] ?? 0;
  const open = stack.move();
  return { api, worker, weight, cacheHits, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

Deno.test("two plants whose settings name one Valkey by mistake never get each other's traces", async () => {
  await using valkey = await ownValkey();
  await using first = await startPlant(1, valkey.server.url);
  await using firstWorker = await first.worker();
  await eventually("the cache is used", async () => {
    strictEqual(await first.weight(), "1");
    return await first.cacheHits() > 0;
  });
  await using second = await startPlant(2, valkey.server.url);
  const read = new Set<string>();
  for (let n = 0; n < 50; n++) {
    read.add(`${await first.weight()} ${await second.weight()}`);
  }
  deepStrictEqual([...read], ["1 2"]);
  await eventually(
    "the second plant says why it has no Valkey",
    async () => (await second.api.get("/readyz")).json.valkey_problem === "shared",
  );

  // Its worker can't take the first plant's cache over either.
  await using _ = await second.worker();
  const hits = await first.cacheHits();
  await eventually("the first plant's cache is used", async () => {
    strictEqual(`${await first.weight()} ${await second.weight()}`, "1 2");
    return await first.cacheHits() > hits + 20;
  });
  strictEqual(await second.cacheHits(), 0);

  await firstWorker[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
  await eventually("the second plant uses what the first one has left", async () => {
    strictEqual(await second.weight(), "2");
    return await second.cacheHits() > 0;
  });
});
