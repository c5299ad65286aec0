import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { connect } from "../../db/connect.ts";
import type { Sql } from "../../db/sql.ts";
import { migrate } from "../../db/migrate.ts";
import { reportWrongServer } from "../../db/servers.ts";
import { openSession } from "../../db/session.ts";
import type { LogFields } from "../../log.ts";
import { openLinkTo } from "../../testing/black_hole.ts";
import { makeAuthority } from "../../testing/certificates.ts";
import { freshDatabase } from "../../testing/database.ts";
import { eventually } from "../../testing/eventually.ts";
import { ownPostgres, tlsPostgres } from "../../testing/postgres_servers.ts";
import { rawResponse, startRawUpstream } from "../../testing/raw_upstream.ts";
import { makeReadOnly, otherAddress } from "../../testing/read_only.ts";
import { temporaryFolder } from "../../testing/temporary_folder.ts";
import { delay } from "../../timing.ts";
import { startGateway } from "../testing/gateway.ts";
import { followModes, STALE_MS } from "../routes/watch_routes.ts";
import { type Operation, OPERATIONS } from "../exchange/operations.ts";
import { describeMode } from "../routes/routing.ts";
import { kill, readRoutes, release, rollBack, setMode } from "../routes/routes_table.ts";

const note = { who: "ana", why: "a try" };

/** A follower with its log lines. */
function follow(databaseUrl: string) {
  const logged: { level: string; event: string; fields: LogFields | undefined }[] = [];
  const modes = followModes({
    databaseUrl,
    log: (level, event, fields) => logged.push({ level, event, fields }),
  });
  const mode = (operation: Operation) => describeMode(modes.routeOf(operation).mode);
  return {
    modes,
    logged,
    mode,
    warnings: () => logged.filter(({ level }) => level !== "info").map(({ event }) => event),
    becomes: (operation: Operation, name: string) =>
      eventually(`${operation} is ${name}`, () => Promise.resolve(mode(operation) === name)),
    [Symbol.asyncDispose]: () => modes[Symbol.asyncDispose](),
  };
}

const set = (sql: Sql, operation: Operation, name: "legacy" | "shadow" | "service") =>
  setMode(sql, { operation, mode: { name }, ...note });

const AWAY = "routes_unknown";

Deno.test("every process follows a change, a rollback, a kill and its release by itself", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await set(sql, "login", "shadow");
  await using one = follow(database.url);
  deepStrictEqual([one.mode("login"), one.modes.state.source], ["legacy", "starting"]);
  await using other = follow(database.url);
  const both = (operation: Operation, name: string) =>
    Promise.all([one.becomes(operation, name), other.becomes(operation, name)]);
  await both("login", "shadow");
  strictEqual(one.modes.state.source, "database");

  await setMode(sql, { operation: "login", mode: { name: "canary", percent: 10 }, ...note });
  await both("login", "canary 10 %");
  strictEqual(one.modes.routeOf("login").epoch, 2);
  await both("createAudit", "service");
  await set(sql, "createAudit", "legacy");
  await both("createAudit", "legacy");
  await set(sql, "createAudit", "service");
  await both("createAudit", "service");
  await rollBack(sql, { operation: "login", epoch: 2, why: "differs" });
  await both("login", "legacy");
  deepStrictEqual(one.modes.routeOf("login").latch, "differs");
  await kill(sql, note);
  await both("createAudit", "legacy");
  deepStrictEqual(other.modes.state.routing.killed, note);
  strictEqual(other.modes.routeOf("createAudit").epoch, 2);
  await release(sql, note);
  await both("createAudit", "service");
  strictEqual(other.modes.routeOf("createAudit").epoch, 3);

  const stored = one.modes.kill(note);
  strictEqual(
    one.mode("createAudit"),
    "legacy",
    "the process that received the request waits for nothing",
  );
  await stored;
  await both("createAudit", "legacy");
  strictEqual(one.modes.state.killedHere, undefined);
  deepStrictEqual(one.warnings(), [
    "kill_switch_on",
    "killed_in_this_process",
    "kill_switch_on",
  ]);
});

Deno.test("an invalid row puts its route on legacy, is logged once, and affects no other", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await set(sql, "login", "service");
  await set(sql, "getHealth", "service");
  await using follower = follow(database.url);
  await follower.becomes("login", "service");
  await sql`alter table lotline.routes drop constraint routes_mode_check`;
  await sql`update lotline.routes set mode = 'mirror' where operation = 'login'`;
  await follower.becomes("login", "legacy");
  strictEqual(follower.mode("getHealth"), "service");
  await delay(600);
  deepStrictEqual(follower.warnings(), [
    "route_unreadable",
  ]);
  await sql`update lotline.routes set mode = 'shadow' where operation = 'login'`;
  await follower.becomes("login", "shadow");
});

Deno.test("without a schema every route is on legacy; after the migration they are followed", async () => {
  await using database = await freshDatabase({ migrated: false });
  await using follower = follow(database.url);
  await eventually("it has given up", () => Promise.resolve(follower.warnings().length > 0));
  deepStrictEqual(follower.warnings(), [AWAY]);
  ok(String(follower.logged[0]?.fields?.error).includes("42P01"));
  await migrate(database.url, () => {});
  await set(database.sql, "login", "shadow");
  await follower.becomes("login", "shadow");
});

Deno.test("with PostgreSQL killed all routes are soon on legacy, and return when it is back", async () => {
  await using postgres = await ownPostgres();
  const { server } = postgres;
  await migrate(server.url, () => {});
  await using sql = pool(server.url);
  await set(sql.sql, "login", "service");
  await using follower = follow(server.url);
  await follower.becomes("login", "service");
  await server.kill();
  await follower.becomes("login", "legacy");
  strictEqual(follower.modes.state.source, "away");
  for (const { operation } of OPERATIONS) strictEqual(follower.mode(operation), "legacy");
  strictEqual(follower.modes.routeOf("login").epoch, 1);

  // A kill at one process during the outage must later apply to all of them.
  const stored = follower.modes.kill({ who: "bo", why: "wrong weights" });
  deepStrictEqual(follower.modes.state.killedHere, { who: "bo", why: "wrong weights" });
  await server.start();
  await stored;
  strictEqual(follower.modes.state.killedHere, undefined);
  strictEqual(follower.mode("login"), "legacy");
  deepStrictEqual((await readRoutes(sql.sql)).killed, { who: "bo", why: "wrong weights" });
  await release(sql.sql, note);
  await follower.becomes("login", "service");
  strictEqual(follower.warnings().filter((event) => event === AWAY).length, 1);
});

for (const sslmode of ["disable", "require"]) {
  Deno.test(`over a link that carries nothing all routes are soon on legacy, and return when it does (sslmode=${sslmode})`, async () => {
    await using folder = await temporaryFolder();
    const authority = await makeAuthority(folder.path);
    await using postgres = await tlsPostgres(await authority.issue({}));
    await migrate(postgres.server.url, () => {});
    await using admin = openSession(postgres.server.url, { name: "lotline-test" });
    await set(admin.sql, "login", "service");
    await using link = await openLinkTo(postgres.address({ query: `sslmode=${sslmode}` }));
    await using follower = follow(link.url);
    await follower.becomes("login", "service");
    link.swallow();
    await follower.becomes("login", "legacy");
    // By now it has a connection that was opened during the fault, which must be closed too.
    link.heal();
    await follower.becomes("login", "service");
    deepStrictEqual(follower.warnings(), [AWAY]);
  });
}

Deno.test("a connection that PostgreSQL ends is replaced without a visible effect", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await set(sql, "login", "service");
  await using follower = follow(database.url);
  await follower.becomes("login", "service");
  for (let round = 0; round < 3; round++) {
    const [{ count } = { count: 0 }] = await sql<{ count: number }[]>`
      select count(pg_terminate_backend(pid))::int as count from pg_stat_activity
      where datname = current_database() and application_name = 'lotline-gateway-modes'`;
    strictEqual(count, 1);
    await set(sql, "getHealth", round % 2 === 0 ? "shadow" : "legacy");
    await follower.becomes("getHealth", round % 2 === 0 ? "shadow" : "legacy");
    strictEqual(follower.mode("login"), "service");
  }
  deepStrictEqual(follower.warnings(), []);
});

Deno.test("routes of a read-only server don't count, and soon after the switch they are followed again", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await set(sql, "login", "service");
  const state = await makeReadOnly(database);
  await using follower = follow(otherAddress(database));
  await eventually("it gives up", () => Promise.resolve(follower.warnings().length > 0));
  deepStrictEqual(follower.warnings(), [AWAY]);
  ok(String(follower.logged[0]?.fields?.error).includes("the database is read-only"));
  strictEqual(follower.mode("login"), "legacy");
  const stored = follower.modes.kill(note);
  await state.end();
  await stored;
  deepStrictEqual((await readRoutes(sql)).killed, note);
  await release(sql, note);
  await follower.becomes("login", "service");
});

Deno.test("when another connection notices a wrong server, the routes are read over a new one", async () => {
  await using database = await freshDatabase();
  const { sql, url } = database;
  await set(sql, "login", "service");
  await using follower = follow(url);
  await follower.becomes("login", "service");
  const pids = async () => {
    const rows = await sql<{ pid: number }[]>`
      select pid from pg_stat_activity
      where datname = current_database() and application_name = 'lotline-gateway-modes'`;
    return rows.map(({ pid }) => pid);
  };
  const before = await pids();
  reportWrongServer(url, performance.now());
  await eventually("it has another connection", async () => {
    const now = await pids();
    return now.length === 1 && now[0] !== before[0];
  });
  await set(sql, "getHealth", "shadow");
  await follower.becomes("getHealth", "shadow");
  deepStrictEqual(follower.warnings(), []);
});

Deno.test("a process that was paused for long knows that its state is stale", async () => {
  await using database = await freshDatabase();
  await set(database.sql, "login", "service");
  await using follower = follow(database.url);
  await follower.becomes("login", "service");
  // Nothing else runs during this time, not even a timer.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STALE_MS + 100);
  strictEqual(follower.mode("login"), "legacy");
  await follower.becomes("login", "service");
});

function pool(url: string) {
  const sql = connect({ url, max: 1 });
  return { sql, [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }) };
}

Deno.test("a gateway sends operations that only Lotline has to Lotline, without a mode being set", async () => {
  await using database = await freshDatabase();
  await using legacy = await startRawUpstream(rawResponse("404 Not Found", "legacy"));
  await using service = await startRawUpstream(rawResponse("200 OK", "service"));
  await using gateway = await startGateway({
    databaseUrl: database.url,
    legacyUrl: legacy.url,
    serviceUrl: service.url,
  });
  const textOf = async (path: string) => await (await fetch(gateway.url + path)).text();
  const isOn = (mode: string) => async () => (await gateway.modes()).listAudits === mode;
  await eventually("it has read the routes", isOn("service"));
  const paths = ["/api/audits", "/api/audits/7", "/livez", "/api/health", "/api/unknown"];
  deepStrictEqual(await Promise.all(paths.map(textOf)), [
    "service",
    "service",
    "service",
    "legacy",
    "legacy",
  ]);
  await set(database.sql, "listAudits", "legacy");
  await eventually("the stored mode counts", isOn("legacy"));
  deepStrictEqual([await textOf("/api/audits"), await textOf("/livez")], ["legacy", "service"]);
});
