import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { connect } from "../../db/connect.ts";
import { freePort } from "../../dev/free_port.ts";
import { freshDatabase } from "../../testing/database.ts";
import { eventually } from "../../testing/eventually.ts";
import { givenClients, givenRoute } from "../testing/route_history.ts";
import { createAdmin } from "./admin.ts";
import { followModes } from "../routes/watch_routes.ts";
import { OPERATIONS } from "../exchange/operations.ts";
import { kill, readRoutes, rollBack } from "../routes/routes_table.ts";

const TOKEN = "a-token-of-the-gateway";
const NOTE = { who: "ana", why: "a try" };

/** The admin API on a port of this machine. */
function startAdmin(url: string, { followed = url, isSchemaBehind = (): boolean => false } = {}) {
  const sql = connect({ url, max: 2, name: "lotline-admin" });
  const logged: string[] = [];
  const log = (_: string, event: string) => logged.push(event);
  const modes = followModes({ databaseUrl: followed, log });
  const metrics = { type: "text/plain; version=0.0.4", text: () => Promise.resolve("up 1\n") };
  const serve = createAdmin({ token: TOKEN, sql, modes, isSchemaBehind, metrics, log });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, serve);
  const address = `http://127.0.0.1:${server.addr.port}`;
  const send = async (method: string, path: string, body?: unknown, headers = {}) => {
    const response = await fetch(address + path, {
      method,
      headers: { authorization: `Bearer ${TOKEN}`, ...headers },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json");
    return {
      status: response.status,
      headers: response.headers,
      json: isJson && JSON.parse(text),
      text,
    };
  };
  return {
    sql,
    modes,
    logged,
    ask: send,
    ready: () =>
      eventually("it is ready", async () => (await send("GET", "/readyz")).status === 200),
    [Symbol.asyncDispose]: async () => {
      await server.shutdown();
      await modes[Symbol.asyncDispose]();
      await sql.end({ timeout: 1 });
    },
  };
}

Deno.test("a canary that would move none of the clients seen in shadow is set with a warning", async () => {
  await using database = await freshDatabase();
  await using admin = startAdmin(database.url);
  const { ask: send, sql } = admin;
  await admin.ready();
  const clients = { operation: "login", side: "legacy", requests: 9 } as const;
  const epoch = await givenRoute(sql, "login", { name: "shadow" });
  await givenClients(sql, { ...clients, epoch, buckets: [500, 9_000] });
  const canary = { mode: "canary", ...NOTE };
  const none = await send("PUT", "/routes/login", { ...canary, canary_percent: 5 });
  match(none.json.warning, /^canary 5 % would move none of 2 clients seen; /);
  await givenClients(sql, { ...clients, epoch: epoch + 1, buckets: [500, 9_000] });
  const half = await send("PUT", "/routes/login", { ...canary, canary_percent: 50 });
  deepStrictEqual([half.json.changed, half.json.warning], [true, undefined]);
});

Deno.test("a route is set, refused, rolled back, cleared and recorded over the admin API", async () => {
  await using database = await freshDatabase();
  await using admin = startAdmin(database.url);
  const { ask: send, modes } = admin;
  await admin.ready();
  const set = await send("PUT", "/routes/login", {
    mode: "canary",
    canary_percent: 10,
    sample_percent: 20,
    ...NOTE,
  });
  strictEqual(set.status, 200, set.text);
  const { changed_at, ...route } = set.json.route;
  match(changed_at, /^\d{4}-.*Z$/);
  deepStrictEqual([set.json.changed, route], [true, {
    operation: "login",
    mode: "canary",
    canary_percent: 10,
    sample_percent: 20,
    epoch: 1,
    latch: null,
  }]);
  const late = { mode: "shadow", expected_epoch: 0, ...NOTE };
  strictEqual((await send("PUT", "/routes/login", late)).status, 409);
  await rollBack(admin.sql, { operation: "login", epoch: 1, why: "3 of 90 differ" });
  const held = await send("PUT", "/routes/login", { mode: "shadow", ...NOTE });
  deepStrictEqual([held.status, held.json], [409, {
    error: "login was rolled back and is held until somebody clears it: 3 of 90 differ",
  }]);
  deepStrictEqual((await send("POST", "/routes/login/clear", NOTE)).json, { changed: true });
  deepStrictEqual((await send("POST", "/routes/login/clear", NOTE)).json, { changed: false });
  await send("PUT", "/routes/login", { mode: "service", ...NOTE });
  await eventually(
    "it is followed",
    () => Promise.resolve(modes.routeOf("login").mode.name === "service"),
  );
  deepStrictEqual((await send("POST", "/routes/login/rollback", NOTE)).json, { changed: true });

  const { json: { changes } } = await send("GET", "/changes?operation=login&limit=3");
  deepStrictEqual(changes.map(({ what }: { what: string }) => what), ["rollback", "set", "clear"]);
  const { json: rest } = await send("GET", `/changes?before=${changes[2].id}`);
  deepStrictEqual(
    rest.changes.map(({ what, automatic }: { what: string; automatic: boolean }) =>
      `${what} ${automatic}`
    ),
    ["rollback true", "set false"],
  );
});

Deno.test("status shows the stored routes and their state in this process", async () => {
  await using database = await freshDatabase();
  await using admin = startAdmin(database.url);
  const { ask: send } = admin;
  await admin.ready();
  await send("PUT", "/routes/login", { mode: "canary", canary_percent: 10, ...NOTE });
  deepStrictEqual((await send("POST", "/kill", NOTE)).json, { killed: "everywhere" });
  deepStrictEqual((await readRoutes(admin.sql)).killed, NOTE);
  const { json } = await send("GET", "/status");
  deepStrictEqual(
    [json.source, json.kill_switch, json.killed_here, json.broken, json.routes.length],
    ["database", { killed: true, ...NOTE }, null, [], OPERATIONS.length],
  );
  const { mode, canary_percent, effective } = json.routes
    .find(({ operation }: { operation: string }) => operation === "login");
  deepStrictEqual([mode, canary_percent, effective], ["canary", 10, {
    mode: "legacy",
    canary_percent: null,
  }]);
  strictEqual((await send("POST", "/kill", NOTE)).status, 200);
  deepStrictEqual((await send("POST", "/release", NOTE)).json, { changed: true });
  deepStrictEqual((await send("POST", "/release", NOTE)).json, { changed: false });
  const metrics = await send("GET", "/metrics");
  deepStrictEqual([metrics.text, metrics.headers.get("content-type")], [
    "up 1\n",
    "text/plain; version=0.0.4",
  ]);
});

Deno.test("all but the probes need the token, and reveal nothing without it", async () => {
  await using database = await freshDatabase();
  await using admin = startAdmin(database.url);
  await admin.ready();
  const paths = ["GET /status", "GET /metrics", "GET /changes", "GET /nothing", "POST /kill"];
  const wrong = [
    "",
    TOKEN,
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(1)}`,
    `Basic ${TOKEN}`,
    "Bearer ",
  ];
  for (const authorization of wrong) {
    for (const [method = "", path = ""] of paths.map((one) => one.split(" "))) {
      const response = await admin.ask(method, path, undefined, { authorization });
      deepStrictEqual([response.status, response.json], [401, {
        error: "The gateway's token is needed",
      }]);
      match(response.headers.get("www-authenticate") ?? "", /^Bearer /);
    }
    for (const path of ["/livez", "/readyz"]) {
      strictEqual((await admin.ask("GET", path, undefined, { authorization })).status, 200);
    }
  }
  strictEqual((await readRoutes(database.sql)).killed, undefined);
});

const MISTAKES: [method: string, path: string, body: unknown, status: number][] = [
  ["PUT", "/routes/login", { mode: "shadow" }, 422],
  ["PUT", "/routes/login", { mode: "shadow", who: "ana" }, 422],
  ["PUT", "/routes/login", { mode: "shadow", who: "ana", why: " " }, 422],
  ["PUT", "/routes/login", { mode: "shadow", who: "ana", why: "x".repeat(501) }, 422],
  ["PUT", "/routes/login", { mode: "mirror", ...NOTE }, 422],
  ["PUT", "/routes/login", { mode: "canary", ...NOTE }, 422],
  ["PUT", "/routes/login", { mode: "canary", canary_percent: 100, ...NOTE }, 422],
  ["PUT", "/routes/login", { mode: "canary", canary_percent: "10", ...NOTE }, 422],
  ["PUT", "/routes/login", { mode: "shadow", canary_percent: 10, ...NOTE }, 422],
  ["PUT", "/routes/login", { mode: "shadow", sample_percent: 101, ...NOTE }, 422],
  ["PUT", "/routes/login", { mode: "shadow", percent: 10, ...NOTE }, 422],
  ["PUT", "/routes/login", [], 422],
  ["PUT", "/routes/login", "null", 422],
  ["PUT", "/routes/login", "{", 400],
  ["PUT", "/routes/login", "", 400],
  ["PUT", "/routes/login", `"${"x".repeat(20_000)}"`, 413],
  ["PUT", "/routes/createAudit", { mode: "shadow", ...NOTE }, 409],
  ["PUT", "/routes/nothing", { mode: "shadow", ...NOTE }, 404],
  ["PUT", "/routes/constructor", { mode: "shadow", ...NOTE }, 404],
  ["POST", "/routes/login/rollback", {}, 422],
  ["POST", "/routes/login/nothing", NOTE, 404],
  ["POST", "/kill", { why: "x" }, 422],
  ["POST", "/release", undefined, 400],
  ["GET", "/changes?limit=0", undefined, 422],
  ["GET", "/changes?limit=1001", undefined, 422],
  ["GET", "/changes?before=x", undefined, 422],
  ["GET", "/changes?sort=x", undefined, 422],
  ["GET", "/changes?operation=nothing", undefined, 404],
  ["DELETE", "/routes/login", undefined, 405],
  ["GET", "/kill", undefined, 405],
  ["POST", "/status", NOTE, 405],
];

Deno.test("an invalid change is refused with one sentence, and changes nothing", async () => {
  await using database = await freshDatabase();
  await using admin = startAdmin(database.url);
  await admin.ready();
  for (const [method, path, body, status] of MISTAKES) {
    const response = await admin.ask(method, path, body);
    const what = `${method} ${path} ${JSON.stringify(body)?.slice(0, 80)}`;
    strictEqual(response.status, status, `${what}: ${response.text}`);
    ok(typeof response.json.error === "string" && response.json.error.length < 200, what);
    if (status === 405) ok(response.headers.get("allow"), what);
  }
  deepStrictEqual((await admin.ask("GET", "/changes")).json, { changes: [] });
  deepStrictEqual(admin.logged, []);
});

Deno.test("while PostgreSQL is unavailable a kill works in this process, other changes are 503, and probes succeed", async () => {
  await using admin = startAdmin(`postgres://nobody@127.0.0.1:${await freePort()}/nothing`);
  const { ask: send, modes } = admin;
  strictEqual((await send("GET", "/readyz")).status, 503, "it may be there in a moment");
  await admin.ready();
  const killed = await send("POST", "/kill", NOTE);
  deepStrictEqual([killed.status, killed.json.killed], [202, "here"]);
  deepStrictEqual(modes.state.killedHere, NOTE);
  for (
    const [method, path] of [["POST", "/release"], ["POST", "/routes/login/rollback"]] as const
  ) {
    const refused = await send(method, path, NOTE);
    deepStrictEqual([refused.status, refused.headers.get("retry-after")], [503, "1"], path);
  }
  deepStrictEqual((await send("GET", "/status")).json.killed_here, NOTE);
  deepStrictEqual((await send("GET", "/readyz")).json, { status: "ok", routes: "away" });
  strictEqual((await send("GET", "/livez")).status, 200);
});

Deno.test("a kill that could not be stored ends with a release", async () => {
  await using database = await freshDatabase();
  await using admin = startAdmin(database.url, {
    followed: `postgres://nobody@127.0.0.1:${await freePort()}/nothing`,
  });
  strictEqual((await admin.ask("POST", "/kill", NOTE)).status, 202);
  deepStrictEqual((await admin.ask("POST", "/release", NOTE)).json, { changed: false });
  strictEqual(admin.modes.state.killedHere, undefined);
});

Deno.test("without a migrated database the admin API names the command to run", async () => {
  await using database = await freshDatabase({ migrated: false });
  await using admin = startAdmin(database.url);
  const response = await admin.ask("PUT", "/routes/login", { mode: "shadow", ...NOTE });
  deepStrictEqual([response.status, response.json], [503, {
    error: "The database lacks a table: run deno task migrate first",
  }]);
});

Deno.test("on an older database a missing column is no fault of the gateway", async () => {
  await using database = await freshDatabase();
  await database.sql`alter table lotline.routes drop column sample_percent`;
  for (const [isBehind, status] of [[true, 503], [false, 500]] as const) {
    await using admin = startAdmin(database.url, { isSchemaBehind: () => isBehind });
    const response = await admin.ask("PUT", "/routes/login", { mode: "shadow", ...NOTE });
    deepStrictEqual([response.status, /deno task migrate/.test(response.text)], [status, isBehind]);
  }
});

Deno.test("a role with only the gateway's rights runs the follower and every change", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const role = `lotline_gateway_${crypto.randomUUID().slice(0, 8)}`;
  await sql.unsafe(`
    create role ${role} login password 'change me';
    grant usage on schema lotline to ${role};
    grant select, insert, update on lotline.routes, lotline.kill_switch to ${role};
    grant select, insert on lotline.route_changes to ${role};`).simple();
  try {
    const address = Object.assign(new URL(database.url), { username: role, password: "change me" });
    await using admin = startAdmin(address.href);
    const { ask: send, modes } = admin;
    await admin.ready();
    for (const mode of ["shadow", "service"]) {
      strictEqual(
        (await send("PUT", "/routes/login", { mode, sample_percent: 9, ...NOTE })).status,
        200,
      );
    }
    await eventually(
      "it is followed",
      () => Promise.resolve(modes.routeOf("login").mode.name === "service"),
    );
    strictEqual((await send("POST", "/kill", NOTE)).status, 200);
    strictEqual(await kill(admin.sql, NOTE), false);
    strictEqual((await send("POST", "/release", NOTE)).status, 200);
    strictEqual(await rollBack(admin.sql, { operation: "login", epoch: 3, why: "x" }), true);
    strictEqual((await send("POST", "/routes/login/clear", NOTE)).status, 200);
    strictEqual((await send("POST", "/routes/login/rollback", NOTE)).status, 200);
    strictEqual((await send("GET", "/changes")).json.changes.length, 8);
    for (const statement of ["delete from", "update"]) {
      const forge = statement === "update"
        ? admin.sql`update lotline.route_changes set who = 'x'`
        : admin.sql`delete from lotline.route_changes`;
      strictEqual(await forge.then(() => "done", (error) => error.code), "42501", "it is evidence");
    }
  } finally {
    await sql.unsafe(`drop owned by ${role}; drop role ${role}`).simple();
  }
});
