import { match, notStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { hashPassword } from "../auth/password_work.ts";
import { createKeyFile } from "../auth/keys.ts";
import { insertAudit } from "../db/audits.ts";
import { connect } from "../db/connect.ts";
import { migrate } from "../db/migrate.ts";
import { loadSeed, resetToSeed } from "../dev/seed.ts";
import { insertAccount } from "../testing/accounts.ts";
import { REQUIRED, startApi, type TestApi } from "../testing/api.ts";
import { makeAuthority } from "../testing/certificates.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import type { LineReader } from "../testing/lines.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import { ownPostgres, tlsPostgres } from "../testing/postgres_servers.ts";
import { rehearse } from "../testing/runbook.ts";
import { shiftedClock } from "../testing/shifted_clock.ts";
import { taskOutput } from "../testing/task_output.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { startWorker } from "../testing/worker.ts";

const PASSWORD = "correct horse battery";

/** A server as docs/setup.md makes it: the API's user has a password, which is in `api.env`. */
async function installed() {
  await using stack = new AsyncDisposableStack();
  const postgres = stack.use(
    await ownPostgres(17, {
      hba: ["host all postgres 127.0.0.1/32 trust", "host all all 127.0.0.1/32 scram-sha-256"],
    }),
  );
  const ownerUrl = postgres.address().replace(/\?$/, "");
  await migrate(ownerUrl, () => {});
  const config = stack.use(await temporaryFolder()).path;
  const granted = await taskOutput(
    ["grants", "--apply", "--env", config, "--only", "api", "--only", "worker"],
    { DATABASE_URL: ownerUrl },
  );
  strictEqual(granted.code, 0, granted.error);
  const sql = connect({ url: ownerUrl, max: 2 });
  stack.defer(() => sql.end({ timeout: 1 }));
  const parts = stack.move();
  return {
    ownerUrl,
    sql,
    config,
    /** The address of the API's user, as `api.env` has it now. */
    async apiUrl() {
      const text = await Deno.readTextFile(join(config, "api.env"));
      return /^DATABASE_URL='([^']*)'$/m.exec(text)?.[1] ?? "";
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

async function login(api: TestApi, email: string): Promise<Record<string, string>> {
  const { status, json, text } = await api.post("/api/login", { email, password: PASSWORD });
  strictEqual(status, 200, text);
  return { authorization: `Bearer ${json.token}` };
}

Deno.test("key-leaked.md: stolen tokens and an old password of the database are refused, clients log in again", async () => {
  await using plant = await installed();
  const email = "manager@plant.example";
  const hash = await hashPassword(PASSWORD, 4);
  await insertAccount(plant.sql, { email, role: "MANAGER", hash });
  const oldUrl = await plant.apiUrl();
  await using api = await startApi({ databaseUrl: oldUrl, environment: REQUIRED });
  const stolen = await login(api, email);
  const written = await api.post("/api/lots", { lot_code: "THIEF-1" }, stolen);
  strictEqual(written.status, 201, written.text);
  const env = {
    DATABASE_URL: plant.ownerUrl,
    JWT_KEYS_FILE: api.keyFile,
    API: api.url,
    ACCOUNT: email,
    CONFIG: plant.config,
    SINCE: "1 day",
    AUTH_MODE: "required",
    CORS_ORIGINS: "none",
  };
  await using page = await rehearse("key-leaked", { env, log: [api.log] });

  await page.run("First", { having: "keys" });
  await eventually(
    "the stolen token has ended",
    async () => (await api.get("/api/audits", stolen)).status === 401,
  );
  strictEqual((await api.get("/api/audits", await login(api, email))).status, 200);
  await page.run("First", { having: "user disable" });
  const shut = await api.post("/api/login", { email, password: PASSWORD });
  strictEqual(shut.status, 401, shut.text);

  await page.run("First", { having: "NEW=" });
  const newUrl = await plant.apiUrl();
  notStrictEqual(newUrl, oldUrl);
  await using again = await startApi({
    databaseUrl: newUrl,
    keyFile: api.keyFile,
    environment: REQUIRED,
  });
  await page.run("First", { having: "pg_terminate_backend" });
  const thief = connect({ url: oldUrl, max: 1 });
  await rejects(async () => await thief`select 1`, /password authentication failed/);
  await thief.end({ timeout: 1 });
  await eventually("the new API has connected again", async () => {
    return (await again.get("/readyz")).status === 200;
  });

  const found = await page.run("Find the cause", { seconds: 60 });
  match(found, /^manager@plant\.example\|1\|/m);
  await page.run("Repair", { input: `${PASSWORD}\n` });
  await page.run("Check that it is over");
  await login(again, email);
  page.assertAllRan();
});

Deno.test("error-budget.md: writes without a right are found by log and doctor, and succeed once it is granted", async () => {
  await using plant = await installed();
  await using api = await startApi({ databaseUrl: await plant.apiUrl() });
  await plant.sql`revoke insert on lots from lotline_api`;
  const failed = await api.post("/api/lots", { lot_code: "A-1" });
  strictEqual(failed.status, 503, failed.text);
  const env = {
    DATABASE_URL: await plant.apiUrl(),
    JWT_KEYS_FILE: api.keyFile,
    AUTH_MODE: "legacy",
    API: api.url,
  };
  await using page = await rehearse("error-budget", { env, log: [api.log] });

  await page.run("First", { having: "readyz", code: 1 });
  const found = await page.run("Find the cause", { seconds: 60 });
  match(found, /"problem":"no_right"/);
  await page.run("Repair", { env: { DATABASE_URL: plant.ownerUrl } });
  await page.run("Check that it is over");
  strictEqual((await api.post("/api/lots", { lot_code: "A-1" })).status, 201);
  page.assertAllRan();
});

Deno.test("slow-traces.md: a forgotten transaction is found by its waiting traces, and ended", async () => {
  await using database = await freshDatabase();
  await resetToSeed(database.sql, await loadSeed());
  await using api = await startApi({ databaseUrl: database.url });
  const forgotten = connect({ url: database.url, max: 1 });
  const held = await openTransaction(forgotten, "lock table lots in access exclusive mode");
  const [holder] = await database.sql<{ pid: number }[]>`
    select pid from pg_locks where relation = 'lots'::regclass and mode = 'AccessExclusiveLock'`;
  let isOver = false;
  const traces = (async () => {
    while (!isOver) await api.get("/api/traceability/MIX-BATCH-88");
  })();
  // A report waits as well, without a limit: the doctor surely sees it.
  const reporter = connect({ url: database.url, max: 1 });
  const report = reporter.begin(async (transaction) => {
    await transaction`set local lock_timeout = 0`;
    await transaction`set local statement_timeout = 0`;
    await transaction`select count(*) from lots`;
  }).catch(() => {});
  const env = {
    DATABASE_URL: database.url,
    API: api.url,
    LOT: "MIX-BATCH-88",
    TOKEN: "none-in-legacy",
    PID: String(holder?.pid),
  };
  await using page = await rehearse("slow-traces", { env, log: [api.log] });
  try {
    const named = await page.run("First", { seconds: 60 });
    ok(named.includes(`pg_terminate_backend(${env.PID})`), named);
    const found = await page.run("Find the cause", { seconds: 60 });
    match(found, new RegExp(`^${env.PID}\\|`, "m"));
    await page.run("Repair");
    await page.run("Check that it is over", { seconds: 60 });
  } finally {
    isOver = true;
    await traces;
    await held.commit().catch(() => {});
    await forgotten.end({ timeout: 1 });
    await reporter.end({ timeout: 1 });
    await report;
  }
  page.assertAllRan();
});

Deno.test("clock-off.md: the API whose clock is an hour ahead is named, and right after its clock is set", async () => {
  await using database = await freshDatabase();
  await using folder = await temporaryFolder();
  const email = "admin@plant.example";
  await insertAccount(database.sql, {
    email,
    role: "ADMIN",
    hash: await hashPassword(PASSWORD, 4),
  });
  await using right = await startApi({ databaseUrl: database.url, environment: REQUIRED });
  const options = {
    databaseUrl: database.url,
    keyFile: right.keyFile,
    environment: REQUIRED,
  };
  const log: LineReader[] = [];
  await using page = await rehearse("clock-off", {
    env: { DATABASE_URL: database.url, EMAIL: email, PASSWORD },
    log,
  });
  {
    await using ahead = await startApi({
      ...options,
      preload: await shiftedClock(folder.path, 3_600),
    });
    const token = await login(right, email);
    strictEqual((await ahead.get("/api/audits", token)).status, 401);
    log.push(ahead.log);
    const named = await page.run("First", { code: 1, seconds: 60 });
    match(named, / (3600|3599)\.\d s ahead of PostgreSQL's/);
    await page.run("Find the cause");
  }
  await using repaired = await startApi(options);
  await page.run("Check that it is over", { seconds: 60, env: { API: repaired.url } });
  page.assertAllRan();
});

Deno.test("expiry.md: a certificate is renewed without a restart, a dead audit and a missed one run", async () => {
  await using folder = await temporaryFolder();
  const authority = await makeAuthority(folder.path);
  const names = ["IP:127.0.0.1"];
  await using postgres = await tlsPostgres(await authority.issue({ names, days: 10 }));
  const tls = `sslmode=verify-full&sslrootcert=${authority.cert}`;
  const databaseUrl = postgres.address({ query: tls });
  await migrate(databaseUrl, () => {});
  const sql = connect({ url: databaseUrl, max: 2 });
  await using _sql = { [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }) };
  const audit = await insertAudit(sql, null, "test");
  const [job] = await sql<{ id: string }[]>`
    update lotline.jobs set state = 'dead', last_error = 'the disk was full', finished_at = now()
    where kind = 'audit_genealogy' returning id`;
  await createKeyFile(join(folder.path, "keys.json"));
  await using page = await rehearse("expiry", {
    env: { DATABASE_URL: databaseUrl, ID: job?.id ?? "" },
  });
  const named = await page.run("First");
  for (const check of ["encryption", "schedule", "jobs"]) {
    match(named, new RegExp(`^warning +${check} `, "m"));
  }
  const dead = await page.run("Find the cause");
  match(dead, new RegExp(`^${job?.id} .*\n +the disk was full$`, "m"));

  await using worker = await startWorker({ databaseUrl });
  const { pid } = postgres.server;
  await postgres.put(await authority.issue({ names, days: 365 }));
  await page.run("Repair", { having: "pg_reload_conf" });
  await page.run("Repair", {
    having: "keys",
    env: { JWT_KEYS_FILE: join(folder.path, "keys.json") },
  });
  // The missed one is another audit, and there is one at a time.
  const isFinished = (line: string) => line.includes('"event":"audit_finished"');
  await worker.log.find(isFinished);
  await page.run("Repair", { having: "jobs retry" });
  const over = await page.run("Check that it is over", { seconds: 60 });
  match(over, /^ok +encryption +The server's certificate is valid until/m);
  await worker.log.find((line) => isFinished(line) && line.includes(audit.id));
  strictEqual(postgres.server.pid, pid, "PostgreSQL wasn't restarted");
  page.assertAllRan();
});
