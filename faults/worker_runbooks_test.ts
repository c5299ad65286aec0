import { match, ok, strictEqual } from "node:assert/strict";
import { createClient } from "redis";
import { createKeyFile } from "../auth/keys.ts";
import { RELAY_LOCK } from "../db/outbox.ts";
import { openSession } from "../db/session.ts";
import { startApi } from "../testing/api.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { insertJob } from "../testing/insert_job.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { rehearse } from "../testing/runbook.ts";
import { startWorker } from "../testing/worker.ts";

Deno.test("dead-jobs.md: the dead jobs of a kind are found with their error, and are done after one command", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  for (const key of ["a", "b", "c"]) {
    await insertJob(sql, { kind: "upkeep", args: {}, priority: 0, uniqueKey: key });
  }
  await sql`update lotline.jobs set state = 'dead', last_error = 'could not extend file',
    attempt = 20, finished_at = now() where kind = 'upkeep'`;
  await using page = await rehearse("dead-jobs", {
    env: { DATABASE_URL: database.url, KIND: "upkeep" },
  });
  match(await page.run("First"), /^warning +jobs +Jobs of kind upkeep that were given up: 3$/m);
  const found = await page.run("Find the cause");
  match(found, /after 20 attempts, \d+ starts\n +could not extend file/);
  match(found, /^upkeep\|could not extend file\|3\|/m);
  match(await page.run("Repair"), /^3 dead jobs are ready again, 0 stay dead/m);
  await using _worker = await startWorker({ databaseUrl: database.url });
  await page.run("Check that it is over", { seconds: 60 });
  const [row] = await sql`
    select count(*)::int as done from lotline.jobs where unique_key in ('a', 'b', 'c') and state = 'done'`;
  strictEqual(row?.done, 3);
  page.assertAllRan();
});

Deno.test("outbox-lag.md: who has the relay's lock is named, and once it is ended a worker relays what waits", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await using left = openSession(database.url, { name: "left-over" });
  const [own] = await left.sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  await left.sql`select pg_advisory_lock(${RELAY_LOCK})`;
  await sql`insert into lots (lot_code, lot_type) values ('RAW-LAG-1', 'RAW')`;
  await using worker = await startWorker({ databaseUrl: database.url });
  await worker.log.find((line) => line.includes('"event":"relay_blocked"'));
  await using page = await rehearse("outbox-lag", {
    env: { DATABASE_URL: database.url, PID: String(own?.pid) },
    log: [worker.log],
  });
  match(await page.run("First"), new RegExp(`connection ${own?.pid} \\(left-over,`));
  const found = await page.run("Find the cause");
  match(found, /^[1-9]\d* changes wait$/m);
  match(found, new RegExp(`^${own?.pid}\\|left-over\\|idle$`, "m"));
  await page.run("Repair");
  await page.run("Check that it is over", { seconds: 60 });
  await eventually("nothing waits", async () => {
    return (await sql`select from lotline.outbox limit 1`).count === 0;
  });
  page.assertAllRan();
});

Deno.test("valkey-lost.md: a Valkey that has become a replica is named, made primary, and used again", async () => {
  await using database = await freshDatabase();
  await using valkey = await ownValkey();
  await using other = await ownValkey();
  const { url } = valkey.server;
  await using api = await startApi({
    databaseUrl: database.url,
    environment: { VALKEY_URL: url },
  });
  await using _worker = await startWorker({
    databaseUrl: database.url,
    environment: { VALKEY_URL: url },
  });
  const client = await createClient({ url }).connect();
  await client.sendCommand(["REPLICAOF", "127.0.0.1", String(other.server.port)]);
  client.destroy();
  const folder = await Deno.makeTempDir({ prefix: "lotline-test-" });
  await using _folder = {
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
  await createKeyFile(`${folder}/keys.json`);
  await using page = await rehearse("valkey-lost", {
    env: {
      DATABASE_URL: database.url,
      VALKEY_URL: url,
      API: api.url,
      AUTH_MODE: "legacy",
      JWT_KEYS_FILE: `${folder}/keys.json`,
    },
    log: [api.log],
  });
  match(await page.run("First", { seconds: 60 }), /"valkey_problem":"readonly"/);
  match(await page.run("Find the cause", { having: "doctor", code: 1 }), /can't be used: readonly/);
  match(await page.run("Find the cause", { having: "redis-cli" }), /^role:slave/m);
  await page.run("Repair");
  const shown = await page.run("Check that it is over", { seconds: 60 });
  ok(shown.includes('"valkey":"up"'), shown);
  page.assertAllRan();
});
