import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createKeyFile } from "../auth/keys.ts";
import { hashPassword } from "../auth/password_work.ts";
import { connectValkey } from "../cache/valkey.ts";
import { connect } from "../db/connect.ts";
import { migrate } from "../db/migrate.ts";
import type { Sql } from "../db/sql.ts";
import { loadSeed, resetToSeed } from "../dev/seed.ts";
import { REQUIRED, startApi, type TestApi } from "../testing/api.ts";
import { insertAccount } from "../testing/accounts.ts";
import { about, examine } from "../testing/doctor.ts";
import { eventually } from "../testing/eventually.ts";
import { insertChain } from "../testing/genealogy.ts";
import {
  allCountOnce,
  createEffects,
  enqueueCounts,
  startJobWorker,
} from "../testing/job_workers.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { runPgProgram } from "../testing/pg_programs.ts";
import { ownPostgres } from "../testing/postgres_servers.ts";
import { taskOutput } from "../testing/task_output.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { startWorker } from "../testing/worker.ts";

// The steps of docs/backups.md, on servers of their own: a dump, an afternoon, a new server.

const PASSWORD = "correct horse battery";
const [ADMIN, LEAVER] = ["admin@plant.example", "leaver@plant.example"] as const;

/** Uses up many transaction numbers, as years of a plant do: a new server begins at about 700. */
const age = (sql: Sql) =>
  sql.unsafe(`
    do $$ begin for n in 1..3000 loop perform pg_current_xact_id(); commit; end loop; end $$`);

const login = async (api: TestApi, email: string) =>
  await api.post("/api/login", { email, password: PASSWORD });

const bearer = (token: string, more: Record<string, string> = {}) => ({
  authorization: `Bearer ${token}`,
  ...more,
});

/** All rows of the old tables, as text. */
async function oldRows(sql: Sql): Promise<readonly string[]> {
  const rows = await Promise.all(
    ["auth.users", "users", "lots", "lot_genealogy", "qc_decisions"].map((table) =>
      sql<{ line: string }[]>`select row(t.*)::text as line from ${sql(table)} t`
    ),
  );
  return rows.flat().map(({ line }) => line).sort();
}

for (const major of [15, 17] as const) {
  Deno.test(`after a dump's restore nothing is stale, doubled or open again (PostgreSQL ${major})`, async () => {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(await temporaryFolder()).path;
    const valkey = stack.use(await ownValkey());
    const VALKEY_URL = `redis://127.0.0.1:${valkey.server.port}`;
    const dump = join(folder, "plant.dump");
    const keyFile = join(folder, "keys.json");
    await createKeyFile(keyFile);
    let [early, traceId, linked, oldToken] = ["", "", "", ""];
    let rows: readonly string[] = [];
    let counted: readonly string[] = [];
    {
      await using old = await ownPostgres(major);
      const { url } = old.server;
      const environment = { ...REQUIRED, VALKEY_URL };
      await migrate(url, () => {});
      await using sql = disposable(connect({ url, max: 2, name: "lotline-test" }));
      await resetToSeed(sql.sql, await loadSeed());
      await age(sql.sql);
      await createEffects(sql.sql);
      const hash = await hashPassword(PASSWORD);
      for (const email of [ADMIN, LEAVER]) {
        await insertAccount(sql.sql, { email, role: "ADMIN", hash });
      }
      linked = (await insertChain(sql.sql, "CHAIN", 3))[0] ?? "";
      await using api = await startApi({ databaseUrl: url, keyFile, environment });
      await using _worker = await startWorker({ databaseUrl: url, environment: { VALKEY_URL } });
      const token = oldToken = (await login(api, ADMIN)).json.token;
      const key = { "idempotency-key": "before" };
      early = (await api.post("/api/lots", { lot_code: "EARLY" }, bearer(token, key))).text;
      const traced = { lot_code: "CHAIN-0", direction: "downstream" };
      traceId = (await api.post("/api/traces", traced, bearer(token))).json.id;
      // They wait: their worker isn't started before the backup.
      counted = await enqueueCounts(sql.sql, 20, 1);
      await eventually(
        "the outbox is empty",
        async () => (await sql.sql`select from lotline.outbox`).length === 0,
      );
      rows = await oldRows(sql.sql);

      await runPgProgram(major, "pg_dump", ["--format=custom", `--file=${dump}`, url]);

      // The afternoon, of which nothing is restored.
      await using jobs = await startJobWorker({ databaseUrl: url, valkeyUrl: VALKEY_URL });
      await enqueueCounts(sql.sql, 20, 1);
      await eventually(
        "jobs have run",
        async () =>
          (await sql.sql`select from lotline.jobs where kind = 'count' and state = 'done'`)
            .length ===
            40,
      );
      // Valkey's list is left with ids that the restored database doesn't know.
      await enqueueCounts(sql.sql, 20, 60_000);
      await eventually(
        "more are on the list than run",
        async () =>
          (await sql.sql`select from lotline.jobs where state = 'ready' and pushed_at is not null`)
            .length > 5,
      );
      await jobs.kill();
      const late = { "idempotency-key": "after" };
      strictEqual(
        (await api.post("/api/lots", { lot_code: "LATE" }, bearer(token, late))).status,
        201,
      );
      await sql.sql`update lots set weight_kg = 77 where lot_code = 'CHAIN-0'`;
      const cache = connectValkey(VALKEY_URL, () => {});
      await eventually("the late weight is cached", async () => {
        await api.get("/api/traceability/CHAIN-1", bearer(token));
        const key = "{lotline:traces}:body:CHAIN-1";
        return (await cache.tryCommand((client) => client.get(key)))?.includes('"77"') ?? false;
      });
      cache.close();
      const words = ["user", "disable", LEAVER];
      strictEqual((await taskOutput(words, { DATABASE_URL: url, VALKEY_URL })).code, 0);
      strictEqual((await api.post("/api/logout", "", bearer(token))).status, 204);
    }

    await using fresh = await ownPostgres(major);
    const { url } = fresh.server;
    await runPgProgram(major, "pg_restore", ["--exit-on-error", `--dbname=${url}`, dump]);
    await using sql = disposable(connect({ url, max: 2, name: "lotline-test" }));
    deepStrictEqual(await oldRows(sql.sql), rows);
    strictEqual((await taskOutput(["migrate"], { DATABASE_URL: url })).code, 0);

    const environment = { ...REQUIRED, DATABASE_URL: url, JWT_KEYS_FILE: keyFile, VALKEY_URL };
    deepStrictEqual(about("restore", await examine(environment)), [
      "warning",
      "The tables were made anew: they were restored",
      "follow docs/backups.md, then run deno task restored",
    ]);
    const restored = await taskOutput(["restored"], { DATABASE_URL: url, VALKEY_URL });
    strictEqual(restored.code, 0, restored.error);
    match(restored.output, new RegExp(`${LEAVER} .* disabled again`));
    strictEqual(about("restore", await examine(environment))[0], "ok");

    await using api = await startApi({ databaseUrl: url, keyFile, environment });
    await using _worker = await startWorker({ databaseUrl: url, environment: { VALKEY_URL } });
    // Neither the token that was logged out nor the account that was disabled since comes back.
    strictEqual((await api.get("/api/traceability/CHAIN-1", bearer(oldToken))).status, 401);
    strictEqual((await login(api, LEAVER)).status, 401);
    const token = (await login(api, ADMIN)).json.token;
    const get = (path: string) => api.get(path, bearer(token));
    const post = (path: string, body: unknown, headers = {}) =>
      api.post(path, body, bearer(token, headers));

    // The key from before the backup has its row; that of the lost lot stores it.
    const again = await post("/api/lots", { lot_code: "EARLY" }, { "idempotency-key": "before" });
    deepStrictEqual([again.status, again.text], [201, early]);
    const stored = await post("/api/lots", { lot_code: "LATE" }, { "idempotency-key": "after" });
    strictEqual(stored.status, 201);
    const decision = await post("/api/qc-decisions", { lot_id: stored.json.id, decision: "PASS" });
    strictEqual(decision.status, 201);
    strictEqual((await api.get("/api/health")).status, 200);

    // The cache has nothing of the afternoon, and follows what is stored from now on.
    const trace = async () => (await get("/api/traceability/CHAIN-1")).text;
    ok(!(await trace()).includes('"77"'));
    await sql.sql`insert into lot_genealogy (parent_lot_id, child_lot_id, quantity_used_kg)
      select id, (select id from lots where lot_code = 'CHAIN-1'), 5 from lots
      where lot_code = 'LATE'`;
    await eventually("the new link is traced", async () => (await trace()).includes("LATE"));
    // A transaction number of the old server says nothing about a change on this one.
    await sql.sql`update lots set weight_kg = 3 where id = ${linked}`;
    await eventually(
      "the stored trace is out of date",
      async () => (await get(`/api/traces/${traceId}`)).json.out_of_date === true,
    );

    await using _jobs = await startJobWorker({ databaseUrl: url, valkeyUrl: VALKEY_URL });
    await allCountOnce(sql.sql, counted);
  });
}

/** A pool that is closed at the end of its block. */
function disposable(sql: Sql) {
  return { sql, [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }) };
}
