import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { startApi } from "../testing/api.ts";
import { connectValkey } from "../cache/valkey.ts";
import { apiInBothModes } from "../testing/both_modes.ts";
import { freshDatabase } from "../testing/database.ts";
import { postDry, SECRET } from "../testing/dry_run.ts";
import { eventually } from "../testing/eventually.ts";
import { insertChain } from "../testing/genealogy.ts";
import {
  accountsOf,
  bodyOf,
  isRefused,
  isReplay,
  kept,
  leavesUnchanged,
  newKey,
  type Path,
  PATHS,
} from "../testing/keyed_requests.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { Audit } from "./audit_shapes.ts";
import { DeepTrace } from "./deep_trace_shapes.ts";

/* Requests with the same key have one effect, and get the same response each time. */

const { required, legacy, sql, maker, databaseUrl } = await apiInBothModes({
  DRY_RUN_SECRET: SECRET,
  // The 50 at once below need as many at a time as there may be.
  DATABASE_POOL_MAX: "20",
});
await insertChain(sql, "CHAIN", 3);

// Another process of the same service.
const another = await startApi({
  databaseUrl,
  environment: { DRY_RUN_SECRET: SECRET, DATABASE_POOL_MAX: "20" },
});
Deno.test.afterAll(async () => await another[Symbol.asyncDispose]());

const newAccount = accountsOf(sql, maker);
const changesNothing = (work: () => Promise<void>) => leavesUnchanged(sql, work);

/** The API in each mode, with a process that the same request may come to. */
const MODES = [["legacy", legacy, another], ["required", required, required]] as const;
for (const [mode, api, other] of MODES) {
  for (const path of PATHS) {
    Deno.test(`AUTH_MODE=${mode}: POST ${path} with a used key returns the first response, and does nothing`, async () => {
      const headers = { ...(await newAccount()).bearer(), ...newKey() };
      const body = bodyOf(path);
      const first = await api.post(path, body, headers);
      ok([200, 201, 202].includes(first.status), first.text);
      ok(!isReplay(first));
      await changesNothing(async () => {
        for (let i = 0; i < 2; i++) {
          const again = await api.post(path, body, headers);
          deepStrictEqual(kept(again), kept(first));
          ok(isReplay(again));
          notStrictEqual(again.headers.get("x-request-id"), first.headers.get("x-request-id"));
        }
      });
    });

    Deno.test(`AUTH_MODE=${mode}: POST ${path} 50 times at once with one key has one effect`, async () => {
      const headers = { ...(await newAccount()).bearer(), ...newKey() };
      const body = bodyOf(path);
      const count = async () => {
        const [row] = await sql<{ count: number }[]>`
          select ((select count(*) from lots) + (select count(*) from qc_decisions)
            + (select count(*) from lotline.traces))::int as count`;
        return row?.count ?? 0;
      };
      const before = await count();
      const all = await Promise.all(
        Array.from({ length: 50 }, (_, i) => (i % 2 ? api : other).post(path, body, headers)),
      );
      const done = all.filter(({ status }) => status < 300);
      strictEqual(done.filter((response) => !isReplay(response)).length, 1);
      deepStrictEqual(new Set(done.map((response) => JSON.stringify(kept(response)))).size, 1);
      for (const response of all) {
        if (done.includes(response)) continue;
        isRefused(response, 409, /still being worked on/);
        strictEqual(response.headers.get("retry-after"), "1");
      }
      strictEqual(await count(), before + (path === "/api/audits" ? 0 : 1));
      const key = headers["idempotency-key"];
      strictEqual((await sql`select from lotline.idempotency_keys where key = ${key}`).length, 1);
    });
  }

  Deno.test(`AUTH_MODE=${mode}: a second logout with the same key and token is 204 again`, async () => {
    const { bearer } = await newAccount("VIEWER");
    const headers = { ...bearer(), ...newKey() };
    strictEqual((await api.post("/api/logout", "", headers)).status, 204);
    await changesNothing(async () => {
      const again = await api.post("/api/logout", "a body isn't looked at", headers);
      deepStrictEqual([again.status, isReplay(again)], [204, true], again.text);
    });
    // The other process hears of it later.
    if (api !== required) return;
    // The key opens nothing else, and another one isn't known.
    for (const path of PATHS) {
      const { status } = await required.post(path, bodyOf(path), headers);
      strictEqual(status, 401, path);
    }
    const other = await required.post("/api/logout", "", { ...headers, ...newKey() });
    isRefused(other, 401, /log in again/);
    match(other.headers.get("www-authenticate") ?? "", /invalid_token/);
    strictEqual((await required.post("/api/logout", "", bearer())).status, 204);
  });
}

Deno.test("a logout with another token of the account is another request: its token stays good until it has a key of its own", async () => {
  const { bearer } = await newAccount();
  const [one, other] = [bearer(), bearer()];
  const key = newKey();
  strictEqual((await required.post("/api/logout", "", { ...one, ...key })).status, 204);
  isRefused(await required.post("/api/logout", "", { ...other, ...key }), 409, /another request/);
  strictEqual((await required.get("/api/traceability/CHAIN-0", other)).status, 200);
  strictEqual((await required.post("/api/logout", "", { ...other, ...newKey() })).status, 204);
  strictEqual((await required.get("/api/traceability/CHAIN-0", other)).status, 401);
});

Deno.test("the first response is repeated though the row was changed or deleted since", async () => {
  for (const path of ["/api/lots", "/api/qc-decisions"] as const) {
    const [body, key] = [bodyOf(path), newKey()];
    const first = await legacy.post(path, body, key);
    await sql`update lots set weight_kg = 1, metadata = '{}' where id = ${first.json.id}`;
    await sql`update qc_decisions set notes = 'x' where id = ${first.json.id}`;
    deepStrictEqual(kept(await legacy.post(path, body, key)), kept(first));
    await sql`delete from lots where id = ${first.json.id}`;
    await sql`delete from qc_decisions where id = ${first.json.id}`;
    await changesNothing(async () => {
      deepStrictEqual(kept(await legacy.post(path, body, key)), kept(first));
    });
  }
});

Deno.test("the first response is repeated though the job has gone on since", async () => {
  // The tracer has no time for so many at once: some of them wait for a worker.
  const requested = async () => {
    const [key, body] = [newKey(), bodyOf("/api/traces")];
    const post = () => legacy.post("/api/traces", body, key);
    return { again: post, first: await post() };
  };
  const traces = await Promise.all(Array.from({ length: 16 }, requested));
  const queued = traces.find(({ first }) => first.status === 202);
  ok(queued, "one of 16 at once must be queued");
  // On a busy machine all of them may be queued, and one alone is done in its request.
  let done = await requested();
  await eventually("a trace is done in its request", async () => {
    if (done.first.status !== 200) done = await requested();
    return done.first.status === 200;
  });
  const key = newKey();
  const audit = await legacy.post("/api/audits", {}, key);
  await sql`update lotline.jobs set state = 'cancelled', finished_at = now() where state = 'ready'`;
  await sql`update lotline.traces set out_of_date = true`;
  const { id } = DeepTrace.parse(queued.first.json);
  strictEqual((await legacy.get(`/api/traces/${id}`)).json.state, "cancelled");
  deepStrictEqual(kept(await queued.again()), kept(queued.first));
  deepStrictEqual(kept(await done.again()), kept(done.first));
  deepStrictEqual(kept(await legacy.post("/api/audits", {}, key)), kept(audit));
  const later = await legacy.post("/api/audits", {}, newKey());
  notStrictEqual(Audit.parse(later.json).id, Audit.parse(audit.json).id);
});

Deno.test("a retry finds what a process had begun that ended between the effect and the response", async () => {
  for (const path of ["/api/traces", "/api/audits"] as const) {
    const [key, body] = [newKey(), bodyOf(path)];
    const first = await legacy.post(path, body, key);
    await sql`update lotline.idempotency_keys set answer = null
      where key = ${key["idempotency-key"]}`;
    const again = await legacy.post(path, body, key);
    deepStrictEqual(kept(again), kept(first));
    await sql`update lotline.jobs set state = 'dead', finished_at = now() where state = 'ready'`;
    deepStrictEqual(kept(await legacy.post(path, body, key)), kept(first), "kept by then");
  }
});

Deno.test("the same request in another order of its fields, or compressed, is the same one", async () => {
  const { bearer } = await newAccount();
  const headers = { ...bearer(), ...newKey(), "content-type": "application/json" };
  const lot_code = `ORDER-${crypto.randomUUID()}`;
  const first = await required.post(
    "/api/lots",
    `{"lot_code":"${lot_code}","metadata":{"a":{"x":1,"y":[{"p":1,"q":2}]},"b":2}}`,
    headers,
  );
  const bytes = new Uint8Array(gzipSync(
    `{ "metadata": {"b": 2, "a": {"y": [{"q":2,"p":1}], "x": 1}}, "lot_code": "${lot_code}" }`,
  ));
  const packed = { ...headers, "content-encoding": "gzip" };
  const again = await required.send("/API/lots/?q", {
    method: "POST",
    headers: packed,
    body: bytes,
  });
  deepStrictEqual(kept(again), kept(first));
  ok(isReplay(again));
});

Deno.test("the same key for another request is 409, and does nothing", async () => {
  for (const path of PATHS) {
    const key = newKey();
    const body = bodyOf(path);
    strictEqual((await legacy.post(path, body, key)).status < 300, true);
    const others: [path: Path | "/api/logout", body: unknown][] = PATHS
      .filter((other) => other !== path).map((other) => [other, bodyOf(other)]);
    if (path !== "/api/audits") others.push([path, { ...body, ...OTHER[path] }]);
    others.push(["/api/logout", ""]);
    await changesNothing(async () => {
      for (const [other, body] of others) {
        isRefused(await legacy.post(other, body, key), 409, /used for another request/);
      }
    });
  }
});

const OTHER = {
  "/api/lots": { metadata: { b: [1.5, { é: "\u2028" }, null], a: 1e-7 } },
  "/api/qc-decisions": { notes: null },
  "/api/traces": { direction: "upstream" },
};

Deno.test("the same key of another account is another key", async () => {
  const [one, other] = [await newAccount(), await newAccount()];
  const key = newKey();
  for (const path of ["/api/qc-decisions", "/api/traces"] as const) {
    const headers = newKey();
    const first = await required.post(path, bodyOf(path), { ...one.bearer(), ...headers });
    const second = await required.post(path, bodyOf(path), { ...other.bearer(), ...headers });
    ok(second.status < 300 && !isReplay(second), second.text);
    notStrictEqual(second.json.id, first.json.id);
    const open = await legacy.post(path, bodyOf(path), headers);
    ok(!isReplay(open), "what was sent to an account is nobody's in legacy");
  }
  // Another request of another account is not refused for it either.
  const lot = bodyOf("/api/lots");
  strictEqual((await required.post("/api/lots", lot, { ...one.bearer(), ...key })).status, 201);
  isRefused(await required.post("/api/lots", lot, { ...other.bearer(), ...key }), 409, /taken/);
  isRefused(await required.post("/api/lots", lot, key), 401, /token/);
});

Deno.test("a new token of the account finds the response to the old one, and a role that may no longer write doesn't", async () => {
  const { id, bearer } = await newAccount();
  const [body, key] = [bodyOf("/api/lots"), newKey()];
  const first = await required.post("/api/lots", body, { ...bearer(), ...key });
  deepStrictEqual(
    kept(await required.post("/api/lots", body, { ...bearer(), ...key })),
    kept(first),
  );
  await sql`update users set role = 'VIEWER' where id = ${id}`;
  const viewer = { authorization: `Bearer ${maker.good({ id, role: "VIEWER" })}` };
  isRefused(await required.post("/api/lots", body, { ...viewer, ...key }), 403, /role/);
});

Deno.test("a refused request stores no key: it is free for the same or a better request", async () => {
  const key = newKey();
  const lot_code = `REFUSED-${crypto.randomUUID()}`;
  const [lot] = await sql<{ id: string }[]>`
    insert into lots (lot_code) values (${lot_code}) returning id`;
  const nobody = "dddddddd-0000-4000-8000-000000000000";
  await changesNothing(async () => {
    isRefused(await legacy.post("/api/lots", { lot_code }, key), 409, /taken/);
    isRefused(await legacy.post("/api/lots", { lot_code, phase_id: "3" }, key), 422, /phase_id/);
    isRefused(await legacy.post("/api/lots", { lot_code: "x", phase_id: nobody }, key), 409, /no/);
    isRefused(await legacy.post("/api/lots", "{", key), 400, /JSON/);
    const nowhere = { lot_code: "NOWHERE", direction: "both" };
    isRefused(await legacy.post("/api/traces", nowhere, key), 404, /not found/);
  });
  await sql`delete from lots where id = ${lot?.id ?? null}`;
  const first = await legacy.post("/api/lots", { lot_code }, key);
  deepStrictEqual([first.status, isReplay(first)], [201, false]);
});

const IN_FLIGHT: [what: string, path: Path, lock: (operator: string) => string][] = [
  ["a lot", "/api/lots", (id) => `select from users where id = '${id}' for update`],
  ["a decision", "/api/qc-decisions", (id) => `select from users where id = '${id}' for update`],
  ["a trace", "/api/traces", () => "lock table lotline.traces in share row exclusive mode"],
  ["an audit", "/api/audits", () => "lock table lotline.audits in share row exclusive mode"],
];
for (const [what, path, lock] of IN_FLIGHT) {
  Deno.test(`while the first request for ${what} is in flight the next one is 409 at once, and later gets the response`, async () => {
    const { id } = await newAccount();
    // Of what takes more than one statement only the same process can tell that it is at it.
    const isWrite = path === "/api/lots" || path === "/api/qc-decisions";
    for (const other of isWrite ? [legacy, another] : [legacy]) {
      const [key, body] = [newKey(), { ...bodyOf(path), ...(isWrite && { operator_id: id }) }];
      await using transaction = await openTransaction(sql, lock(id));
      const first = legacy.post(path, body, key);
      await eventually("the first one waits", async () => {
        const waiting = await sql`select from pg_stat_activity
          where wait_event_type = 'Lock' and datname = current_database()`;
        return waiting.length > 0;
      });
      const second = await other.post(path, body, key);
      await transaction.commit();
      isRefused(second, 409, /still being worked on/);
      strictEqual(second.headers.get("retry-after"), "1");
      const done = await first;
      ok(done.status < 300 && !isReplay(done), done.text);
      const third = await other.post(path, body, key);
      deepStrictEqual([kept(third), isReplay(third)], [kept(done), true]);
    }
  });
}

Deno.test("without the header no key is stored, and the same request is done or refused again", async () => {
  const before = await sql`select from lotline.idempotency_keys`;
  for (const path of PATHS) {
    const body = bodyOf(path);
    const [first, second] = [await legacy.post(path, body), await legacy.post(path, body)];
    strictEqual(second.status, path === "/api/lots" ? 409 : first.status);
    if (path === "/api/qc-decisions") notStrictEqual(second.json.id, first.json.id);
    deepStrictEqual([first, second].map(isReplay), [false, false]);
  }
  strictEqual((await sql`select from lotline.idempotency_keys`).length, before.length);
});

Deno.test("a login ignores a key", async () => {
  const headers = { "idempotency-key": "" };
  const [first, second] = [
    await legacy.post("/api/login", { email: "nobody@x.example" }, headers),
    await legacy.post("/api/login", {}, headers),
  ];
  deepStrictEqual([first.status, second.status], [401, 401]);
});

Deno.test("a dry run ignores a key: it neither stores nor reads one", async () => {
  const [body, key] = [bodyOf("/api/lots"), newKey()];
  await changesNothing(async () => {
    for (let i = 0; i < 2; i++) {
      const dry = await postDry(legacy, "/api/lots", body, key);
      deepStrictEqual([dry.status, isReplay(dry)], [201, false], dry.text);
    }
    const bad = await postDry(legacy, "/api/lots", body, { "idempotency-key": "a b" });
    isRefused(bad, 422, /Idempotency-Key/);
  });
  strictEqual((await legacy.post("/api/lots", body, key)).status, 201);
  // The old server, with which it is compared, would find the code taken.
  isRefused(await postDry(legacy, "/api/lots", body, key), 409, /taken/);
});

Deno.test("a repeated lot is removed from the cache again: the first process may have ended before that", async () => {
  await using valkey = await ownValkey();
  await using api = await startApi({
    databaseUrl,
    environment: { VALKEY_URL: valkey.server.url },
  });
  const link = connectValkey(valkey.server.url, () => {});
  await eventually("Valkey responds", () => link.isUsable());
  const keys = async () => (await link.tryCommand((client) => client.keys("*traces*")))?.length;
  const [body, key] = [bodyOf("/api/lots"), newKey()];
  strictEqual((await api.post("/api/lots", body, key)).status, 201);
  ok(await keys());
  await link.tryCommand((client) => client.flushAll());
  strictEqual(await keys(), 0);
  ok(isReplay(await api.post("/api/lots", body, key)));
  ok(await keys());
  link.close();
});

Deno.test("on PostgreSQL 15 every operation does the same", async () => {
  await using database = await freshDatabase({ major: 15 });
  await insertChain(database.sql, "CHAIN", 3);
  await using api = await startApi({ databaseUrl: database.url });
  for (const path of PATHS) {
    const [body, key] = [bodyOf(path), newKey()];
    const first = await api.post(path, body, key);
    ok(first.status < 300, first.text);
    const again = await api.post(path, body, key);
    deepStrictEqual([kept(again), isReplay(again)], [kept(first), true]);
    isRefused(await api.post("/api/logout", "", key), 409, /another request/);
  }
});
