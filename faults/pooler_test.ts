import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import postgres from "postgres";
import type { Sql } from "../db/sql.ts";
import { loadSeed, resetToSeed } from "../dev/seed.ts";
import { startApi, type TestApi, type TestResponse } from "../testing/api.ts";
import { freshDatabase } from "../testing/database.ts";
import { postDry, SECRET } from "../testing/dry_run.ts";
import { eventually } from "../testing/eventually.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import { IGNORED_PARAMETERS, startPgBouncer } from "../testing/pgbouncer.ts";
import { delay } from "../timing.ts";

// The API behind PgBouncer in transaction mode, which gives all of it two connections.

const POOLERS = {
  "PgBouncer 1.18 that ignores parameters": {
    release: "bookworm",
    settings: { ignore_startup_parameters: IGNORED_PARAMETERS },
  },
  "PgBouncer 1.24": { release: "trixie", settings: { max_prepared_statements: "100" } },
} as const;

/** Concurrent requests. */
const CLIENTS = 28;
/** How many lots they create under load. */
const LOTS = 400;
/** Between two kills, in ms. */
const PAUSE_MS = 200;

async function start(name: keyof typeof POOLERS, environment: Record<string, string> = {}) {
  const database = await freshDatabase();
  const bouncer = await startPgBouncer(database.url, POOLERS[name]);
  const url = bouncer.through(database.url);
  const api = await startApi({ databaseUrl: url, environment });
  const { sql } = database;
  return {
    api,
    sql,
    url,
    bouncer,
    create: async (lot_code: string) => (await api.post("/api/lots", { lot_code })).status,
    /** The codes of lots, and how many deep traces there are. */
    stored: async () => {
      const lots = await sql`select lot_code from lots where lot_code like 'POOLED-%'`;
      const traces = await sql`select from lotline.traces`;
      const stored = lots.map(({ lot_code }) => String(lot_code)).sort();
      return { stored, traces: traces.length };
    },
    [Symbol.asyncDispose]: async () => {
      await api[Symbol.asyncDispose]();
      await bouncer[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** Clients that create lots, read them, and request a deep trace of each tenth. */
async function runLoad({ api, create }: Awaited<ReturnType<typeof start>>) {
  const acknowledged: string[] = [];
  let traces = 0;
  let next = 0;
  const client = async () => {
    while (next < LOTS) {
      const number = next++;
      const code = `POOLED-${number}`;
      const status = await create(code);
      ok([201, 503].includes(status), `${status} for a lot`);
      if (status !== 201) continue;
      acknowledged.push(code);
      const read = await api.get(`/api/traceability/${code}`);
      ok([200, 503].includes(read.status), `${read.status} for its trace`);
      if (number % 10 !== 0) continue;
      const trace = await api.post("/api/traces", { lot_code: code, direction: "both" });
      ok([200, 202, 503].includes(trace.status), `${trace.status} for a deep trace`);
      if (trace.status !== 503) traces++;
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return { acknowledged, traces };
}

/** The connections that the pooler has to PostgreSQL. */
async function endConnections(sql: Sql): Promise<void> {
  await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'lotline-api'`;
}

/** The responses of all operations on the seed, without what each run makes anew. */
async function everyOperation(api: TestApi): Promise<string[]> {
  const seen: string[] = [];
  const note = (what: string, { status, text }: TestResponse) =>
    seen.push(`${what}: ${status} ${text.replaceAll(MADE_ANEW, "…")}`);
  for (const path of PATHS) note(path, await api.get(path));
  for (const [path, body, headers] of WRITES) {
    const response = await api.post(path, body, headers);
    note(`${path} ${JSON.stringify(body)}`, response);
    const { location } = Object.fromEntries(response.headers);
    if (location !== undefined) note("its job", await api.get(location));
    if (path === "/api/lots" || path === "/api/qc-decisions") {
      note("its dry run", await postDry(api, path, body));
    }
  }
  return seen;
}

const UUID = "[0-9a-f]{8}-[0-9a-f-]{27}";
/** Ids, moments, tokens and figures of the process. */
const MADE_ANEW = new RegExp(
  `${UUID}|\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z|"token":"[^"]+"|ey[\\w-]+\\.[\\w-]+\\.[\\w-]+`,
  "g",
);

const KEY = { "idempotency-key": "pooled-1" };

const PATHS = [
  "/api/health",
  "/livez",
  "/readyz",
  "/api/traceability/MIX-BATCH-88",
  "/api/traceability/nowhere",
  "/api/audits",
  `/api/audits/${crypto.randomUUID()}`,
  `/api/traces/${crypto.randomUUID()}`,
];

const WRITES:
  readonly (readonly [path: string, body: unknown, headers?: Record<string, string>])[] = [
    ["/api/lots", { lot_code: "NEW-1", weight_kg: "12.50", metadata: { parents: ["é'"] } }],
    ["/api/lots", { lot_code: "NEW-1" }],
    ["/api/lots", { lot_code: "KEYED-1" }, KEY],
    ["/api/lots", { lot_code: "KEYED-1" }, KEY],
    ["/api/lots", { lot_code: "LOCAL-1", created_at: "7/8/2026 10:00" }],
    ["/api/lots", { lot_code: "LOST-1", production_run_id: crypto.randomUUID() }],
    ["/api/qc-decisions", { decision: "HOLD", notes: "a note" }],
    ["/api/qc-decisions", { decision: "HOLD", lot_id: crypto.randomUUID() }],
    ["/api/traces", { lot_code: "MIX-BATCH-88", direction: "both" }],
    ["/api/traces", { lot_code: "MIX-BATCH-88", direction: "both", max_depth: 1 }],
    ["/api/traces", { lot_code: "nowhere", direction: "both" }],
    ["/api/audits", {}],
    ["/api/auth/login", { email: "nobody@plant.example" }],
  ];

/** What is left on the pooler's two connections that a pooler doesn't set itself, and locks. */
async function leftOn(url: string, direct: Sql): Promise<string[]> {
  const plain = { max: 1, fetch_types: false, prepare: false } as const;
  const clients = [postgres(url, plain), postgres(url, plain)];
  // Open at the same time, so that each has a connection of its own.
  for (const sql of clients) await sql.unsafe("begin").simple();
  const left: string[] = [];
  for (const sql of clients) {
    const rows = await sql.unsafe(`
      select 'setting ' || name as what from pg_settings
      where source = 'session' and name not in (${TRACKED.map((name) => `'${name}'`)})
      union all select 'statement ' || name from pg_prepared_statements where name !~ '^PGBOUNCER_'
      union all select 'cursor ' || name from pg_cursors
      union all select 'temporary ' || relname from pg_class where relpersistence = 't'
    `).simple();
    left.push(...rows.map((row) => String(row.what)));
  }
  for (const sql of clients) {
    await sql.unsafe("rollback").simple();
    await sql.end();
  }
  const locks = await direct`
    select 'lock ' || objid as what from pg_locks where locktype = 'advisory'
      and database = (select oid from pg_database where datname = current_database())`;
  return [...left, ...locks.map((row) => String(row.what))];
}

/** Settings that PgBouncer keeps for each client. */
const TRACKED = [
  "application_name",
  "client_encoding",
  "DateStyle",
  "IntervalStyle",
  "standard_conforming_strings",
  "TimeZone",
];

for (const name of Object.keys(POOLERS) as (keyof typeof POOLERS)[]) {
  Deno.test(`${name}: of lots that were refused while their table was locked, none is stored`, async () => {
    await using it = await start(name);
    strictEqual(await it.create("POOLED-FIRST"), 201);
    const locks = await openTransaction(it.sql, "lock table lots in share row exclusive mode");
    const codes = Array.from({ length: CLIENTS }, (_, n) => `POOLED-${n}`);
    const statuses = await Promise.all(codes.map(it.create));
    ok(statuses.every((status) => status === 503));
    await locks[Symbol.asyncDispose]();
    await eventually("a lot is stored", async () => await it.create("POOLED-LAST") === 201);
    await eventually("nothing runs", async () => {
      const [row] = await it.sql`
        select count(*)::int as running from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'`;
      return row?.running === 0;
    });
    deepStrictEqual((await it.stored()).stored, ["POOLED-FIRST", "POOLED-LAST"]);
  });

  Deno.test(`${name}: mixed load on two connections loses no write, doubles none and refuses for good`, async () => {
    await using it = await start(name);
    const load = await runLoad(it);
    const { stored, traces } = await it.stored();
    deepStrictEqual(stored, load.acknowledged.sort());
    strictEqual(traces, load.traces);
    ok(load.acknowledged.length > 0 && load.traces > 0);
  });

  Deno.test(`${name}: while it and its connections are killed, what is acknowledged is stored, once`, async () => {
    await using it = await start(name);
    let isOver = false;
    const killing = (async () => {
      for (let round = 0; !isOver; round++) {
        await delay(PAUSE_MS);
        if (round % 2 === 1) await it.bouncer.restart();
        else await endConnections(it.sql);
      }
    })();
    const load = await runLoad(it);
    isOver = true;
    await killing;
    await eventually("a lot is stored", async () => await it.create("POOLED-LAST") === 201);
    const { stored } = await it.stored();
    deepStrictEqual(stored, [...new Set(stored)]);
    deepStrictEqual(load.acknowledged.filter((code) => !stored.includes(code)), []);
  });

  Deno.test(`${name}: every operation answers as without, and leaves nothing on a connection`, async () => {
    const environment = { AUTH_MODE: "legacy", DRY_RUN_SECRET: SECRET };
    await using it = await start(name, environment);
    await using direct = await startApi({ environment });
    const plain = direct.database?.sql ?? it.sql;
    const seed = await loadSeed();
    const responses = async () => {
      await Promise.all([plain, it.sql].map((sql) => resetToSeed(sql, seed)));
      return [await everyOperation(it.api), await everyOperation(direct)] as const;
    };
    // PgBouncer may name a statement when it comes for the second time. On a busy machine a deep
    // trace of one side may take so long that it is queued: then both get another try.
    let same = 0;
    for (let tries = 0; tries < 6 && same < 2; tries++) {
      if (isDeepStrictEqual(...await responses())) same++;
    }
    if (same < 2) deepStrictEqual(...await responses());
    deepStrictEqual(await leftOn(it.url, it.sql), []);
  });
}

Deno.test("DATABASE_POOLER=transaction works without looking for a pooler", async () => {
  await using it = await start("PgBouncer 1.24", { DATABASE_POOLER: "transaction" });
  strictEqual(await it.create("POOLED-1"), 201);
  strictEqual((await it.api.get("/readyz")).status, 200);
  strictEqual((await it.api.get("/api/traceability/POOLED-1")).status, 200);
});
