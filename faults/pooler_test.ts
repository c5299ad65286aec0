import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { startApi } from "../testing/api.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import { IGNORED_PARAMETERS, startPgBouncer } from "../testing/pgbouncer.ts";

// The API behind PgBouncer in transaction mode, which gives all of it two connections.

const POOLERS = {
  "PgBouncer 1.18": { release: "bookworm", settings: {} },
  "PgBouncer 1.18 that ignores parameters": {
    release: "bookworm",
    settings: { ignore_startup_parameters: IGNORED_PARAMETERS },
  },
  "PgBouncer 1.24": { release: "trixie", settings: { max_prepared_statements: "100" } },
} as const;

/** Concurrent requests of one round. */
const CLIENTS = 28;
const ROUNDS = 6;

async function start(name: keyof typeof POOLERS, environment: Record<string, string> = {}) {
  const database = await freshDatabase();
  const bouncer = await startPgBouncer(database.url, POOLERS[name]);
  const api = await startApi({ databaseUrl: bouncer.through(database.url), environment });
  const { sql } = database;
  return {
    api,
    sql,
    bouncer,
    create: async (lot_code: string) => (await api.post("/api/lots", { lot_code })).status,
    codes: async () => {
      const rows = await sql`select lot_code from lots where lot_code like 'POOLED-%'`;
      return rows.map(({ lot_code }) => String(lot_code)).sort();
    },
    [Symbol.asyncDispose]: async () => {
      await api[Symbol.asyncDispose]();
      await bouncer[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

const codesOf = (round: number) =>
  Array.from({ length: CLIENTS }, (_, n) => `POOLED-${round}-${n}`);

for (const name of Object.keys(POOLERS) as (keyof typeof POOLERS)[]) {
  Deno.test(`${name}: of lots that were refused while their table was locked, none is stored`, async () => {
    await using it = await start(name);
    strictEqual(await it.create("POOLED-FIRST"), 201);
    const locks = await openTransaction(it.sql, "lock table lots in share row exclusive mode");
    const statuses = await Promise.all(codesOf(0).map(it.create));
    ok(statuses.every((status) => status === 503));
    await locks[Symbol.asyncDispose]();
    await eventually("a lot is stored", async () => await it.create("POOLED-LAST") === 201);
    await eventually("nothing runs", async () => {
      const [row] = await it.sql`
        select count(*)::int as running from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'`;
      return row?.running === 0;
    });
    deepStrictEqual(await it.codes(), ["POOLED-FIRST", "POOLED-LAST"]);
  });

  Deno.test(`${name}: while it loses its connections, what is acknowledged is stored, once`, async () => {
    await using it = await start(name);
    const acknowledged: string[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const requests = codesOf(round).map(async (code) => {
        if (await it.create(code) === 201) acknowledged.push(code);
        await it.api.get(`/api/traceability/${code}`);
      });
      await it.sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'lotline-api'`;
      await Promise.all(requests);
    }
    await eventually("a lot is stored", async () => await it.create("POOLED-LAST") === 201);
    const stored = new Set(await it.codes());
    ok(acknowledged.every((code) => stored.has(code)));
    strictEqual(stored.size, (await it.codes()).length);
  });
}

Deno.test("DATABASE_POOLER=transaction works without looking for a pooler", async () => {
  await using it = await start("PgBouncer 1.18", { DATABASE_POOLER: "transaction" });
  strictEqual(await it.create("POOLED-1"), 201);
  strictEqual((await it.api.get("/readyz")).status, 200);
  strictEqual((await it.api.get("/api/traceability/POOLED-1")).status, 200);
});
