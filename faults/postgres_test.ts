import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { loadSeed, resetToSeed } from "../dev/seed.ts";
import { connect } from "../db/connect.ts";
import type { Sql } from "../db/sql.ts";
import { migrate } from "../db/migrate.ts";
import { startApi, type TestApi } from "../testing/api.ts";
import { openLinkTo } from "../testing/black_hole.ts";
import { eventually, withDeadline } from "../testing/eventually.ts";
import { type LoadResult, mixedLoad } from "../testing/load.ts";
import { ownPostgres } from "../testing/postgres_servers.ts";
import { delay } from "../timing.ts";

/** A separate PostgreSQL with the seed's rows, and an API on it. */
async function startBoth() {
  const postgres = await ownPostgres();
  const { url } = postgres.server;
  await migrate(url, () => {});
  const sql = connect({ url, max: 2 });
  await resetToSeed(sql, await loadSeed());
  const api = await startApi({ databaseUrl: url });
  return {
    server: postgres.server,
    sql,
    api,
    [Symbol.asyncDispose]: async () => {
      await api[Symbol.asyncDispose]();
      await sql.end({ timeout: 1 });
      await postgres[Symbol.asyncDispose]();
    },
  };
}

async function isAlive({ process }: TestApi): Promise<boolean> {
  return await Promise.race([process.status.then(() => false), delay(50).then(() => true)]);
}

function onlySuccessOrAway({ statuses, broken, refused }: LoadResult) {
  deepStrictEqual(broken, []);
  for (const status of statuses.keys()) {
    ok([200, 201, 503].includes(status), `a response was ${status}`);
  }
  for (const { headers, json } of refused) {
    strictEqual(headers.get("retry-after"), "1");
    deepStrictEqual(json, { error: "The database is away or too slow, try again shortly" });
  }
}

async function lotsAmong(sql: Sql, codes: readonly string[]): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int from lots where lot_code in ${sql(codes)}`;
  return row?.count ?? 0;
}

for (const [how, end] of [["restarted", "restart"], ["killed and started", "kill"]] as const) {
  Deno.test(`1,000 mixed requests while PostgreSQL is ${how}: only 2xx or 503, then only 2xx`, async () => {
    await using both = await startBoth();
    const { api, server } = both;
    const outage = Promise.withResolvers<LoadResult>();
    const during = mixedLoad(api, 1_000, (completed) => {
      if (completed !== 200) return;
      (async () => {
        await server[end === "kill" ? "kill" : "stop"]();
        const meanwhile = await mixedLoad(api, 50);
        await server.start();
        return meanwhile;
      })().then(outage.resolve, outage.reject);
    });
    const results = [await outage.promise, await during];
    results.forEach(onlySuccessOrAway);
    ok((results[0]?.statuses.get(503) ?? 0) > 0, "the outage must have been felt");
    ok(await isAlive(api));

    // It comes back within a second, or later on a busy machine, and then for all requests.
    await eventually("all requests succeed again", async () => {
      const after = await mixedLoad(api, 200);
      onlySuccessOrAway(after);
      results.push(after);
      return !after.statuses.has(503);
    });
    await using reading = {
      sql: connect({ url: server.url, max: 1 }),
      [Symbol.asyncDispose]: () => reading.sql.end(),
    };
    const acknowledged = results.flatMap(({ stored }) => stored);
    strictEqual(await lotsAmong(reading.sql, acknowledged), acknowledged.length);
  });
}

Deno.test("a service that waited long for PostgreSQL responds soon after its return", async () => {
  await using both = await startBoth();
  const { api, server } = both;
  await server.stop();
  // Long enough for an exponential backoff to grow.
  for (let i = 0; i < 20; i++) {
    const responses = Array.from({ length: 10 }, () => api.get("/api/traceability/MIX-BATCH-88"));
    for (const { status } of await Promise.all(responses)) strictEqual(status, 503);
    await delay(100);
  }
  strictEqual((await api.get("/readyz")).status, 503);
  strictEqual((await api.get("/api/health")).status, 200);
  strictEqual((await api.get("/livez")).status, 200);
  await server.start();
  // The next try of postgres.js by now is after 8 s, with its default backoff.
  await eventually(
    "it responds without backing off",
    async () => (await api.get("/api/traceability/MIX-BATCH-88")).status === 200,
    { seconds: 8 },
  );
  strictEqual((await api.get("/readyz")).status, 200);
});

Deno.test("connections that PostgreSQL ends under load are 503 at worst", async () => {
  await using both = await startBoth();
  const { api, sql } = both;
  const ends: Promise<unknown>[] = [];
  const result = await mixedLoad(api, 600, (completed) => {
    if (completed % 100 !== 50) return;
    ends.push(sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'lotline-api'`.execute());
  });
  await Promise.all(ends);
  onlySuccessOrAway(result);
  ok(await isAlive(api));
  strictEqual(await lotsAmong(sql, result.stored), result.stored.length);
});

Deno.test("a link that carries nothing is 503 within the deadline, and the pool recovers", async () => {
  await using postgres = await ownPostgres();
  await migrate(postgres.server.url, () => {});
  await using link = await openLinkTo(postgres.server.url);
  await using api = await startApi({ databaseUrl: link.url });
  strictEqual((await api.post("/api/lots", { lot_code: "BEFORE" })).status, 201);
  // Every connection of the pool must be open: a new one has a timeout anyway.
  await Promise.all(Array.from({ length: 200 }, () => api.get("/api/traceability/BEFORE")));
  link.swallow();
  const order: string[] = [];
  const request = api.get("/api/traceability/BEFORE").then(() => order.push("request"));
  strictEqual((await api.get("/readyz")).status, 503);
  order.push("probe");
  await request;
  deepStrictEqual(order, ["probe", "request"], "a probe must not wait as long as a request");
  const lost = await withDeadline(
    "all have a response",
    Promise.all(Array.from({ length: 20 }, () => api.get("/api/traceability/BEFORE"))),
  );
  deepStrictEqual([...new Set(lost.map(({ status }) => status))], [503]);
  link.heal();
  // The pool itself must close the dead connections, not the remote end.
  const isBack = async () => (await api.get("/api/traceability/BEFORE")).status === 200;
  await eventually("the pool has recovered", isBack);
  const all = await Promise.all(
    Array.from({ length: 40 }, () => api.get("/api/traceability/BEFORE")),
  );
  deepStrictEqual([...new Set(all.map(({ status }) => status))], [200]);
});
