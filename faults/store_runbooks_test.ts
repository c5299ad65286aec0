import { match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { connect } from "../db/connect.ts";
import { migrate } from "../db/migrate.ts";
import { listRunningProcesses } from "../db/processes.ts";
import { startPostgres } from "../dev/postgres.ts";
import { startApi } from "../testing/api.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { fullDisk } from "../testing/full_disk.ts";
import { insertJob } from "../testing/insert_job.ts";
import { readLines } from "../testing/lines.ts";
import { startPgBouncer } from "../testing/pgbouncer.ts";
import { FAST } from "../testing/postgres_servers.ts";
import { rehearse } from "../testing/runbook.ts";
import { smallDisk } from "../testing/small_disk.ts";
import { startPair } from "../testing/standby.ts";
import { ROOT, taskArguments } from "../testing/task_process.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { startWorker } from "../testing/worker.ts";
import { startService } from "./failover.ts";

/* Runbooks about processes and PostgreSQL: the cause is planted, and the page's commands are run. */

/** Starts a task that ends by itself; resolves with its log after its end. */
async function endedLog(task: string, env: Record<string, string>) {
  const [run = "", ...args] = await taskArguments(task, ROOT);
  const process = new Deno.Command(Deno.execPath(), {
    args: [run, ...args],
    cwd: ROOT,
    env,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const logs = [readLines(process.stdout), readLines(process.stderr)];
  const { code } = await process.status;
  strictEqual(code, 1);
  await Promise.all(logs.map(({ ended }) => ended));
  return logs;
}

/** Ends a process as the kernel does when memory runs out. */
async function kill({ process }: { readonly process: Deno.ChildProcess }): Promise<void> {
  process.kill("SIGKILL");
  await process.status;
}

Deno.test("process-down.md: killed processes and the setting that keeps one from its start are found, then they run", async () => {
  await using database = await freshDatabase();
  await using api = await startApi({ databaseUrl: database.url });
  await using worker = await startWorker({ databaseUrl: database.url });
  await Promise.all([kill(api), kill(worker)]);
  const { sql } = database;
  await insertJob(sql, { kind: "upkeep", args: {}, priority: 0, uniqueKey: "waits" });
  const wrong = {
    DATABASE_URL: database.url,
    AUTH_MODE: "legacy",
    JWT_KEYS_FILE: api.keyFile,
    TOKEN_TTL_MINUTES: "half an hour",
    PORT: "0",
  };
  const failed = await endedLog("start", wrong);
  await using page = await rehearse("process-down", {
    env: { ...wrong, API: api.url },
    log: [api.log, ...failed],
  });
  const shown = await page.run("First", { having: "doctor", code: 1, seconds: 60 });
  ok(shown.includes("Running processes:"), shown);
  await page.run("First", { having: "livez", code: 7 });
  const ended = await page.run("Find the cause", { having: "grep" });
  match(ended, /^ {2}TOKEN_TTL_MINUTES is invalid/m);
  await eventually(
    "the killed processes don't count any more",
    async () => (await listRunningProcesses(sql)).length === 0,
  );
  const named = await page.run("Find the cause", { having: "doctor", code: 1, seconds: 60 });
  match(named, /^FAILURE +settings +TOKEN_TTL_MINUTES is invalid/m);
  match(named, /No worker runs/);

  const right = { TOKEN_TTL_MINUTES: "30" };
  await page.run("Repair", { env: right });
  await using again = await startApi({
    databaseUrl: database.url,
    keyFile: api.keyFile,
    environment: { ...right, METRICS_PORT: "0" },
  });
  await using _worker = await startWorker({ databaseUrl: database.url });
  const line = await again.log.find((text) => text.includes('"event":"metrics_listening"'));
  await page.run("Check that it is over", {
    seconds: 60,
    env: { ...right, API: again.url, METRICS: `http://127.0.0.1:${JSON.parse(line).port}` },
  });
  await eventually("the job that waited is done", async () => {
    const done = await sql`
      select from lotline.jobs where unique_key = 'waits' and state = 'done'`;
    return done.length === 1;
  });
  page.assertAllRan();
});

Deno.test("postgres-failover.md: the standby is promoted, nothing acknowledged is lost, and a second primary is seen", async () => {
  await using pair = await startPair();
  await using service = await startService(pair.url);
  strictEqual(await service.round(), 0);
  await pair.primary.kill();
  ok(await service.round() > 0);
  await using page = await rehearse("postgres-failover", {
    env: {
      DATABASE_URL: pair.url,
      AUTH_MODE: "legacy",
      JWT_KEYS_FILE: service.api.keyFile,
      API: service.api.url,
      STANDBY: pair.standby.url,
    },
    log: [service.api.log],
  });
  await page.run("First", { code: 1, seconds: 60 });
  await page.run("Find the cause");
  await page.run("Repair", { having: "pg_promote" });
  await service.roundsUntilStored();
  await pair.primary.start();
  const two = await page.run("Repair", { having: "doctor" });
  for (const { port } of [pair.primary, pair.standby]) ok(two.includes(`:${port}`), two);
  await pair.primary.kill();
  await service.roundsUntilStored();
  await page.run("Check that it is over", { seconds: 60 });
  await service.runsJobs();
  await service.storedOfRefused(pair.standby.url);
  page.assertAllRan();
});

/** The disk of one PostgreSQL, with room for its files and a few segments of its WAL. */
const DISK_MB = 192;
const SLOT = "lost_replica";

Deno.test("disk-full.md: the slot of a lost replica fills the disk, and dropping it makes room for writes", async () => {
  await using stack = new AsyncDisposableStack();
  const disk = await smallDisk(DISK_MB);
  if (disk !== undefined) stack.use(disk);
  const folder = disk?.path ?? stack.use(await temporaryFolder()).path;
  const server = stack.use(
    await startPostgres({
      major: 17,
      dataDir: join(folder, "postgres"),
      settings: {
        ...FAST,
        min_wal_size: "32MB",
        max_wal_size: "64MB",
        checkpoint_timeout: "1h",
      },
    }),
  );
  await migrate(server.url, () => {});
  const sql = connect({ url: server.url, max: 1 });
  stack.defer(() => sql.end({ timeout: 1 }));
  const api = stack.use(await startApi({ databaseUrl: server.url }));
  let lots = 0;
  const write = async () => (await api.post("/api/lots", { lot_code: `LOT-${++lots}` })).status;
  strictEqual(await write(), 201);

  await sql`select pg_create_physical_replication_slot(${SLOT}, true)`;
  const free = async () => {
    const output = await new Deno.Command("df", { args: ["-Pm", folder] }).output();
    return Number(new TextDecoder().decode(output.stdout).split("\n")[1]?.split(/ +/)[3]);
  };
  // A segment of the WAL is 16 MB, which the slot keeps.
  for (let segments = 0; segments < (disk === undefined ? 1 : 20); segments++) {
    await sql`select pg_logical_emit_message(false, 'test', 'a segment')`;
    await sql`select pg_switch_wal()`;
    if (disk !== undefined && await free() < 40) break;
  }
  // The next one would come on the full disk, and end PostgreSQL.
  await sql`checkpoint`;
  await disk?.fill();
  // Where nobody may mount, PostgreSQL itself says the same by a trigger.
  const full = disk === undefined ? await fullDisk(sql, "lots") : undefined;
  await eventually("a write finds no room", async () => {
    for (let n = 0; n < 50; n++) if (await write() === 503) return true;
    return false;
  }, { seconds: 60 });
  const refused = { lot_code: "REFUSED-1" };
  strictEqual((await api.post("/api/lots", refused)).status, 503);
  strictEqual((await api.get("/api/traceability/LOT-1")).status, 200);

  await using page = await rehearse("disk-full", {
    env: {
      DATABASE_URL: server.url,
      AUTH_MODE: "legacy",
      JWT_KEYS_FILE: api.keyFile,
      SLOT,
    },
    log: [api.log],
  });
  const seen = await page.run("First", { code: disk === undefined ? 0 : 1 });
  if (disk !== undefined) match(seen, /^FAILURE +disk /m);
  // What isn't PostgreSQL's own: enough for its checkpoint, and not for the alarm to end.
  await disk?.free(2);
  const found = await page.run("Find the cause", { seconds: 60 });
  match(found, new RegExp(`^${SLOT}\\|f(alse)?\\|`, "m"));
  await page.run("Repair");
  await full?.[Symbol.asyncDispose]();
  strictEqual((await api.post("/api/lots", refused)).status, 201);
  await page.run("Check that it is over", { seconds: 60 });
  page.assertAllRan();
});

Deno.test("pooler-in-the-way.md: a worker and an API behind PgBouncer work once their addresses and settings fit", async () => {
  await using folder = await temporaryFolder();
  await using database = await freshDatabase();
  await using bouncer = await startPgBouncer(database.url);
  const databaseUrl = bouncer.through(database.url);
  const worker = await endedLog("worker", { DATABASE_URL: databaseUrl });
  await using api = await startApi({ databaseUrl, environment: { DATABASE_POOLER: "none" } });
  strictEqual((await api.get("/api/traceability/A-1")).status, 503);
  await Deno.writeTextFile(join(folder.path, "api.env"), "DATABASE_POOLER=none\n");
  const apiSettings = { AUTH_MODE: "legacy", JWT_KEYS_FILE: api.keyFile };
  await using page = await rehearse("pooler-in-the-way", {
    env: {
      DATABASE_URL: databaseUrl,
      DIRECT: database.url,
      CONFIG: folder.path,
    },
    log: [api.log, ...worker],
  });
  await page.run("First", { code: 1, env: { ...apiSettings, DATABASE_POOLER: "none" } });
  const ofWorker = await page.run("First", { code: 1 });
  match(ofWorker, /DATABASE_DIRECT_URL is not set/);
  await page.run("Find the cause", { seconds: 60 });

  await page.run("Repair");
  const settings = async (file: string) =>
    Object.fromEntries(
      (await Deno.readTextFile(join(folder.path, file))).trim().split("\n")
        .map((line) => line.replaceAll("'", "").split(/=(.*)/).slice(0, 2)),
    ) as Record<string, string>;
  const [ofWorkerNow, ofApiNow] = await Promise.all([settings("worker.env"), settings("api.env")]);
  await using _worker = await startWorker({ databaseUrl, environment: ofWorkerNow });
  await using again = await startApi({ databaseUrl, environment: ofApiNow });
  const over = await page.run("Check that it is over", { having: "doctor", env: ofWorkerNow });
  match(over, /^ok +direct address +DATABASE_DIRECT_URL leads to PostgreSQL itself/m);
  await page.run("Check that it is over", {
    having: "doctor",
    env: { ...ofApiNow, ...apiSettings },
  });
  await page.run("Check that it is over", { having: "readyz", env: { API: again.url } });
  strictEqual((await again.post("/api/lots", { lot_code: "A-1" })).status, 201);
  page.assertAllRan();
});
