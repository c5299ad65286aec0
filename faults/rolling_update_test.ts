import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { createKeyFile, rotateKeys } from "../auth/keys.ts";
import { readKeyFile } from "../auth/key_file.ts";
import { hashPassword } from "../auth/password_work.ts";
import { readMigrations } from "../db/migrations.ts";
import { oneRow } from "../db/one_row.ts";
import { problem } from "../db/problems.ts";
import type { Sql } from "../db/sql.ts";
import { upkeep } from "../jobs/upkeep.ts";
import { insertAccount } from "../testing/accounts.ts";
import { REQUIRED, startApi, type TestApi } from "../testing/api.ts";
import { type Backend, startBalancer } from "../testing/balancer.ts";
import { freshDatabase } from "../testing/database.ts";
import { earlierVersion } from "../testing/earlier_version.ts";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { startRollingLoad } from "../testing/rolling_load.ts";
import { migrateWith, ROOT } from "../testing/task_process.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { startWorker, type TestWorker } from "../testing/worker.ts";
import { delay } from "../timing.ts";

const PASSWORD = "a long password of the plant";
/** Sent in each phase of the update at least. */
const REQUESTS = 100;
const JOB_EVERY_MS = 200;
const METRICS_TOKEN = "the_scraper_of_a_test_of_updates";
/** A kind of job that neither version knows. */
const NEWER_KIND = "of_a_later_version";

const earlier = await earlierVersion();
Deno.test.afterAll(async () => await earlier[Symbol.asyncDispose]());

Deno.test(`a rolling update from ${earlier.name} and the way back fail no request, lose no job and do none twice`, async () => {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await freshDatabase({ migrated: false }));
  const { sql, url: databaseUrl } = database;
  const valkey = stack.use(await ownValkey());
  const folder = stack.use(await temporaryFolder());
  await migrateWith(earlier.root, databaseUrl);
  const hash = await hashPassword(PASSWORD, 4);
  const { email } = await insertAccount(sql, { role: "MANAGER", hash });

  const keyFiles = await makeKeyFiles(folder.path);
  const common = { ...REQUIRED, VALKEY_URL: valkey.server.url, METRICS_TOKEN };
  const versions = {
    old: {
      root: earlier.root,
      keyFile: keyFiles.old,
      api: { ...common, DATABASE_POOL_MAX: "4", TOKEN_TTL_MINUTES: "5" },
      worker: { VALKEY_URL: valkey.server.url, WORKER_CONCURRENCY: "2" },
    },
    new: {
      root: ROOT,
      keyFile: keyFiles.new,
      api: { ...common, DATABASE_POOL_MAX: "6", DRAIN_SECONDS: "3", TIME_ZONE: "UTC" },
      worker: { VALKEY_URL: valkey.server.url, WORKER_CONCURRENCY: "3", TIME_ZONE: "UTC" },
    },
  };
  type Version = keyof typeof versions;
  const workers: TestWorker[] = [];
  const startApiOf = async (version: Version) => {
    const { root, keyFile, api: environment } = versions[version];
    const api = stack.use(
      await startApi({ databaseUrl, keyFile, environment, root }),
    );
    return { api, backend: { url: api.url, readyUrl: `${api.url}/readyz` } };
  };
  const startWorkerOf = async (version: Version) => {
    const { root, worker: environment } = versions[version];
    const worker = stack.use(
      await startWorker({ databaseUrl, environment, root }),
    );
    workers.push(worker);
    return worker;
  };

  const balancer = stack.use(startBalancer());
  const takeIn = async (backend: Backend) => {
    balancer.add(backend);
    await eventually("the process is ready", () => balancer.isReady(backend), { seconds: 60 });
  };
  const [oldApi, oldWorker] = await Promise.all([startApiOf("old"), startWorkerOf("old")]);
  await takeIn(oldApi.backend);
  const load = stack.use(
    await startRollingLoad({ sql, url: balancer.url, email, password: PASSWORD }),
  );
  const jobs = stack.use(startJobs(sql));
  const underLoad = async (...backends: readonly Backend[]) => {
    const before = backends.map(balancer.served);
    await eventually(
      "each process has served",
      () => {
        deepStrictEqual(load.failures, []);
        return backends.every((one, i) => balancer.served(one) - (before[i] ?? 0) >= REQUESTS);
      },
      { seconds: 120 },
    );
  };
  await underLoad(oldApi.backend);
  const stored = [load.stored];

  // The new code before its migration: not ready, and the old operations work where the schema allows.
  const newApi = await startApiOf("new");
  balancer.add(newApi.backend);
  const ready = await newApi.api.get("/readyz");
  const { sentence } = problem("schema_old");
  const isBehind = await countSteps(ROOT) > await countSteps(earlier.root);
  deepStrictEqual(
    [ready.status, ready.json.error],
    isBehind ? [503, sentence] : [200, undefined],
  );
  {
    const early = await startRollingLoad({ sql, url: newApi.api.url, email, password: PASSWORD });
    await eventually("it serves", () => early.total() >= 60);
    await early.stop();
    deepStrictEqual(early.failures, []);
    stored.push(early.stored);
    if (isBehind) strictEqual(balancer.served(newApi.backend), 0);
  }

  await migrateWith(ROOT, databaseUrl);
  await eventually("it is ready without a restart", () => balancer.isReady(newApi.backend));
  const newWorker = await startWorkerOf("new");
  await underLoad(oldApi.backend, newApi.backend);
  await Promise.all([end(oldWorker), balancer.remove(oldApi.backend)]);
  await end(oldApi.api);
  await underLoad(newApi.backend);

  // The way back, on the new schema.
  const [oldAgain, workerAgain] = await Promise.all([startApiOf("old"), startWorkerOf("old")]);
  await takeIn(oldAgain.backend);
  await underLoad(oldAgain.backend, newApi.backend);
  ok(await cacheHits(newApi.api) > 0);
  await Promise.all([end(newApi.api), end(newWorker)]);
  await underLoad(oldAgain.backend);

  await jobs.stop();
  await load.stop();
  deepStrictEqual(load.failures, []);
  deepStrictEqual(await idsIn(sql, "lots"), stored.flatMap(({ lots }) => lots).toSorted());
  deepStrictEqual(
    await idsIn(sql, "qc_decisions"),
    stored.flatMap(({ decisions }) => decisions).toSorted(),
  );
  await eventually("all jobs are done", async () => await countOpen(sql) === 0);
  await end(workerAgain);
  const finished = workers.flatMap(({ log }) => log.lines)
    .filter((line) => line.includes('"event":"job_finished"'))
    .map((line) => String(JSON.parse(line).job));
  deepStrictEqual(finished.filter((id) => jobs.ids.includes(id)).toSorted(), jobs.ids.toSorted());
  // It waits for a worker that knows its kind.
  const newer = await sql<{ state: string }[]>`
    select state from lotline.jobs where kind = ${NEWER_KIND}`;
  deepStrictEqual(newer.map(({ state }) => state), ["ready"]);
});

/** Ends a process as systemd does; it must end by itself, cleanly. */
async function end({ process }: Pick<TestApi, "process">): Promise<void> {
  process.kill("SIGTERM");
  strictEqual((await process.status).code, 0);
}

async function cacheHits(api: TestApi): Promise<number> {
  const { text } = await api.get("/metrics", { authorization: `Bearer ${METRICS_TOKEN}` });
  return Number(/^lotline_trace_cache_reads_total\{outcome="hit"\} (\d+)$/m.exec(text)?.[1]);
}

/** Key files with the same two keys: in each another one is the first, which signs. */
async function makeKeyFiles(
  folder: string,
): Promise<{ readonly old: string; readonly new: string }> {
  const files = { old: `${folder}/old.json`, new: `${folder}/new.json` };
  await createKeyFile(files.new);
  await rotateKeys(files.new);
  // Without times: the order decides.
  const keys = (await readKeyFile(files.new))
    .map(({ signs_from: _from, retired_at: _at, ...key }) => key);
  await Deno.writeTextFile(files.old, JSON.stringify({ keys: keys.toReversed() }), { mode: 0o600 });
  return files;
}

const countSteps = async (root: URL) =>
  (await readMigrations(new URL("db/migrations/", root))).length;

async function idsIn(sql: Sql, table: string): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`select id from ${sql(table)} order by id`;
  return rows.map(({ id }) => id);
}

/** Puts a job into the queue now and then, as both versions do, and one that only a later worker knows. */
function startJobs(sql: Sql) {
  // Not by this version's own statement: the schema is at first the earlier version's.
  const insert = async (kind: string, uniqueKey: string | null = null): Promise<string> =>
    oneRow(
      await sql<{ id: string }[]>`
        insert into lotline.jobs (kind, arguments, priority, unique_key)
        values (${kind}, '{}', 1, ${uniqueKey}) returning id`,
    ).id;
  const ids: string[] = [];
  const end = new AbortController();
  const running = (async () => {
    await insert(NEWER_KIND);
    while (!end.signal.aborted) {
      const uniqueKey = crypto.randomUUID();
      ids.push(await insert(upkeep.kind, uniqueKey));
      await delay(JOB_EVERY_MS, end.signal);
    }
  })();
  const stop = async () => {
    end.abort();
    await running;
  };
  return { ids, stop, [Symbol.asyncDispose]: stop };
}

async function countOpen(sql: Sql): Promise<number> {
  const rows = await sql`
    select from lotline.jobs where state <> 'done' and kind <> ${NEWER_KIND}`;
  return rows.length;
}
