import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import net from "node:net";
import { connect } from "../db/connect.ts";
import type { Sql } from "../db/sql.ts";
import { migrate } from "../db/migrate.ts";
import { deepTrace } from "../jobs/deep_trace.ts";
import { startApi, type TestApi, type TestResponse } from "../testing/api.ts";
import { openLinkTo } from "../testing/black_hole.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { type GivenLink, insertLinks, insertLots } from "../testing/genealogy.ts";
import { type OpenTransaction, openTransaction } from "../testing/open_transaction.ts";
import { ownPostgres } from "../testing/postgres_servers.ts";
import { rawRequest } from "../testing/raw_http.ts";
import { runJob } from "../testing/run_job.ts";
import { lockWaits } from "../testing/lock_waits.ts";

/* A committed effect without an acknowledgement is stored once, and found by its key. */

const kept = ({ status, headers, text }: TestResponse) => [status, headers.get("etag"), text];
const isReplay = ({ headers }: TestResponse) => headers.get("idempotency-replayed") === "true";

const ACCOUNT = "00000000-0000-4000-8000-00000000000a";

/** Locks a new account: the insert of its lot waits at the very end of the statement. */
async function lockAccount(sql: Sql): Promise<OpenTransaction> {
  await sql`insert into auth.users (id) values (${ACCOUNT})`;
  await sql`insert into users (id, email) values (${ACCOUNT}, 'a@plant.example')`;
  return await openTransaction(sql, `select from users where id = '${ACCOUNT}' for update`);
}

async function lotWaits(sql: Sql): Promise<void> {
  await eventually("a write waits for the account", async () => await lockWaits(sql) > 0);
}

async function lotsCalled(sql: Sql, code: string): Promise<number> {
  return (await sql`select from lots where lot_code = ${code}`).length;
}

Deno.test("a client that leaves before its lot is stored finds it by its key", async () => {
  await using api = await startApi();
  const { database } = api;
  ok(database);
  const { sql } = database;
  const body = `{"lot_code":"GONE-1","weight_kg":"1.50","operator_id":"${ACCOUNT}"}`;
  const line = "Content-Type: application/json\r\nIdempotency-Key: gone\r\n";
  {
    await using lock = await lockAccount(sql);
    const client = net.connect(Number(new URL(api.url).port), "127.0.0.1");
    client.on("error", () => {});
    client.write(rawRequest("POST /api/lots", line, body));
    await lotWaits(sql);
    client.resetAndDestroy();
    await lock.commit();
  }
  await eventually("the lot is stored", async () => await lotsCalled(sql, "GONE-1") === 1);
  const again = await api.post("/api/lots", body, { "idempotency-key": "gone" });
  deepStrictEqual([again.status, isReplay(again)], [201, true], again.text);
  strictEqual(again.json.weight_kg, "1.50");
  strictEqual(await lotsCalled(sql, "GONE-1"), 1);
});

Deno.test("a commit whose result the network loses is 503, and found by its key", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await using link = await openLinkTo(database.url);
  await using api = await startApi({
    databaseUrl: link.url,
    environment: { DATABASE_POOL_MAX: "1" },
  });
  const post = () =>
    api.post("/api/lots", { lot_code: "SWALLOWED-1", operator_id: ACCOUNT }, {
      "idempotency-key": "swallowed",
    });
  let first: Promise<TestResponse>;
  {
    await using lock = await lockAccount(sql);
    first = post();
    await lotWaits(sql);
    link.swallow();
    await lock.commit();
  }
  await eventually("the lot is stored", async () => await lotsCalled(sql, "SWALLOWED-1") === 1);
  strictEqual((await first).status, 503);
  link.heal();
  let again = await post();
  await eventually("it is found", async () => {
    if (again.status === 503) again = await post();
    return again.status !== 503;
  });
  deepStrictEqual([again.status, isReplay(again)], [201, true], again.text);
  strictEqual(await lotsCalled(sql, "SWALLOWED-1"), 1);
});

const BEGUN: [what: string, path: string, body: object][] = [
  ["a deep trace", "/api/traces", { lot_code: "WIDE-0", direction: "downstream" }],
  ["an audit", "/api/audits", {}],
];
for (const [what, path, body] of BEGUN) {
  Deno.test(`${what} whose commit is lost by the network is 503, then its result is returned`, async () => {
    await using database = await freshDatabase();
    const { sql } = database;
    const lots = Array.from({ length: 5_200 }, (_, i) => ({ lot_code: `WIDE-${i}` }));
    const [root = "", ...children] = await insertLots(sql, lots);
    await insertLinks(sql, children.map((child): GivenLink => [root, child]));
    await using link = await openLinkTo(database.url);
    await using api = await startApi({
      databaseUrl: link.url,
      environment: { DATABASE_POOL_MAX: "1" },
    });
    const post = () => api.post(path, body, { "idempotency-key": "swallowed" });
    const keys = async () => (await sql`select from lotline.idempotency_keys`).length;
    let first: Promise<TestResponse>;
    {
      // The same key, never visible: the statement waits for it if it is already running.
      await using lock = await openTransaction(
        sql,
        `insert into lotline.idempotency_keys (caller, key, request)
          values ('', 'swallowed', sha256('x'));
        delete from lotline.idempotency_keys`,
      );
      first = post();
      await lotWaits(sql);
      link.swallow();
      await lock.commit();
    }
    await eventually("it and its key are stored", async () => await keys() === 1);
    // Before the process times out: its reaction to the failure reaches PostgreSQL.
    link.heal();
    strictEqual((await first).status, 503);
    const again = await post();
    deepStrictEqual([again.status, isReplay(again)], [202, true], again.text);
    strictEqual((await sql`select from lotline.jobs`).length, 1);
    const { id } = again.json;
    if (path === "/api/traces") await runJob(database, deepTrace, { traceId: id });
    const now = await api.get(`${path}/${id}`);
    const state = path === "/api/traces" ? "done" : "queued";
    deepStrictEqual([now.status, (now.json.audit ?? now.json).state], [200, state]);
    deepStrictEqual(kept(await post()), kept(again));
  });
}

Deno.test("200 writes while PostgreSQL is killed and started, each repeated until it succeeds: once each, and responses stay the same", async () => {
  await using postgres = await ownPostgres();
  const { server } = postgres;
  await migrate(server.url, () => {});
  await using api = await startApi({ databaseUrl: server.url });
  const requests = Array.from(
    { length: 200 },
    (_, i): [path: string, body: object, key: string] =>
      i % 2 === 0
        ? ["/api/lots", { lot_code: `KILLED-${i}` }, `lot-${i}`]
        : ["/api/qc-decisions", { notes: `KILLED-${i}` }, `decision-${i}`],
  );
  let responded = 0;
  let outage: Promise<void> | undefined;
  const killAndStart = async () => {
    await server.kill();
    await server.start();
  };
  const first = await eachOf(requests, async (request) => {
    const response = await send(api, request);
    if (++responded === 50) outage = killAndStart();
    return response;
  });
  await outage;
  ok(first.some(({ status }) => status === 503), "the outage must have been felt");
  const last = await eachOf(requests, async (request) => {
    let response = await send(api, request);
    await eventually("it is done", async () => {
      if (response.status !== 201) response = await send(api, request);
      return response.status === 201;
    });
    return response;
  });
  for (const [i, response] of first.entries()) {
    const final = last[i];
    ok(final !== undefined);
    if (response.status === 201) {
      deepStrictEqual([kept(final), isReplay(final)], [kept(response), true]);
    } else strictEqual(response.status, 503, response.text);
  }
  const sql = connect({ url: server.url, max: 1 });
  const [stored] = await sql`
    select (select count(*)::int from lots) as lots,
      (select count(distinct notes)::int from qc_decisions) as decided,
      (select count(*)::int from qc_decisions) as decisions,
      (select count(*)::int from lotline.idempotency_keys) as keys`;
  await sql.end();
  deepStrictEqual({ ...stored }, { lots: 100, decided: 100, decisions: 100, keys: 200 });
});

type Sent = [path: string, body: object, key: string];

function send(api: TestApi, [path, body, key]: Sent): Promise<TestResponse> {
  return api.post(path, body, { "idempotency-key": key });
}

/** Ten at a time; returns the responses in the order of the requests. */
async function eachOf(
  requests: readonly Sent[],
  send: (request: Sent) => Promise<TestResponse>,
): Promise<TestResponse[]> {
  const responses: TestResponse[] = [];
  const queue = requests.entries();
  const worker = async () => {
    for (const [i, request] of queue) responses[i] = await send(request);
  };
  await Promise.all(Array.from({ length: 10 }, worker));
  return responses;
}
