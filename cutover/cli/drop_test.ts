import { deepStrictEqual, match, rejects, strictEqual } from "node:assert/strict";
import type { Sql } from "../../db/sql.ts";
import { migrate } from "../../db/migrate.ts";
import { SERVICE_SERIES } from "../../db/migrations.ts";
import { freshDatabase, type TestDatabase } from "../../testing/database.ts";
import { dump, dumpChanges } from "../../testing/dump.ts";
import { eventually } from "../../testing/eventually.ts";
import { openTransaction } from "../../testing/open_transaction.ts";
import { LEGACY_OPERATIONS } from "../exchange/operations.ts";
import type { Mode } from "../exchange/route.ts";
import { kill, readRoutes } from "../routes/routes_table.ts";
import { startGateway } from "../testing/gateway.ts";
import { givenRoute } from "../testing/route_history.ts";
import { RefusedError } from "../../command_line.ts";
import { drop } from "./drop.ts";

const SERVICE: Mode = { name: "service" };
const NOTE = { who: "tester", why: "a test" };

/** Runs the command as if typed at a terminal. */
function dropFrom({ sql, url }: TestDatabase, options: { yes?: boolean } = { yes: true }) {
  const environment = { DATABASE_URL: url };
  const deps = { sql, environment, print: () => {}, signal: new AbortController().signal };
  return drop.run(deps, { words: [], options });
}

async function setAll(sql: Sql, mode: Mode) {
  for (const operation of LEGACY_OPERATIONS) await givenRoute(sql, operation, mode);
}

const definitions = async (sql: Sql) => (await dump(sql)).filter((line) => !/^\w+ row /.test(line));

Deno.test("drop leaves the database as the service alone makes it, and migrate restores the tables", async () => {
  await using alone = await freshDatabase({ migrated: false });
  await migrate(alone.url, () => {}, [SERVICE_SERIES]);
  await using database = await freshDatabase();
  const { sql } = database;
  const before = await definitions(sql);
  await setAll(sql, SERVICE);
  await sql`insert into lots (lot_code) values ('KEPT')`;
  const { json, text } = await dropFrom(database);
  match(
    text,
    /^15 tables of the cutover were dropped\. As long as the folder cutover\/ exists, deno task migrate makes them again/,
  );
  strictEqual(JSON.stringify(json).includes("lotline.route_outcomes"), true);
  const changes = dumpChanges(await definitions(alone.sql), await definitions(sql));
  deepStrictEqual(changes, { gone: [], added: [] });
  deepStrictEqual([...await sql`select from lotline.migrations where series = 'cutover'`], []);
  strictEqual((await sql`select from lots`).length, 1);
  strictEqual((await dropFrom(database)).text, "This database has no tables of the cutover");

  await migrate(database.url, () => {});
  deepStrictEqual(dumpChanges(before, await definitions(sql)), { gone: [], added: [] });
  const { routes } = await readRoutes(sql);
  strictEqual(routes.get("login")?.mode.name, "legacy", "the history is gone");
});

Deno.test("without --yes it names what it would drop, and drops nothing", async () => {
  await using database = await freshDatabase();
  const before = await dump(database.sql);
  await rejects(dropFrom(database, {}), (error) => {
    const { message } = error as Error;
    match(message, /^table +size\nlotline\.routes +\d+ (kB|bytes)\n/);
    match(message, /\nlotline\.recorded_exchanges +\d+ kB\n/);
    match(message, /deno task parity report\), then add --yes\. Nothing was dropped$/);
    return error instanceof RefusedError;
  });
  deepStrictEqual(dumpChanges(before, await dump(database.sql)), { gone: [], added: [] });
});

const IN_USE: { what: string; given(sql: Sql): Promise<unknown>; says: RegExp }[] = [
  {
    what: "a route is compared",
    given: (sql) => givenRoute(sql, "login", { name: "shadow" }),
    says:
      /^The cutover is not over: getHealth legacy, login shadow, .*\. Move every route to service/,
  },
  {
    what: "some routes are moved and others are not",
    given: (sql) => givenRoute(sql, "login", SERVICE),
    says: /^The cutover is not over: getHealth legacy, login service, /,
  },
  {
    what: "a route is a canary",
    async given(sql) {
      await setAll(sql, SERVICE);
      await givenRoute(sql, "createLot", { name: "canary", percent: 99 });
    },
    says: /createLot canary 99 %/,
  },
  {
    what: "the kill switch keeps moved routes on the old server",
    async given(sql) {
      await setAll(sql, SERVICE);
      await kill(sql, NOTE);
    },
    says: /^The cutover is not over: .*; the kill switch is on\. /,
  },
];

for (const { what, given, says } of IN_USE) {
  Deno.test(`nothing is dropped while ${what}`, async () => {
    await using database = await freshDatabase();
    await given(database.sql);
    const before = await dump(database.sql);
    await rejects(dropFrom(database), (error) => {
      match(String((error as Error).message), says);
      return error instanceof RefusedError;
    });
    deepStrictEqual(dumpChanges(before, await dump(database.sql)), { gone: [], added: [] });
  });
}

Deno.test("nothing is dropped while a gateway is connected, and everything after it has ended", async () => {
  await using database = await freshDatabase();
  const gateway = await startGateway({
    databaseUrl: database.url,
    legacyUrl: "http://127.0.0.1:9",
    serviceUrl: "http://127.0.0.1:10",
  });
  await eventually("it is connected", async () => {
    const { message } = await dropFrom(database, {}).then(() => new Error(), (error) => error);
    return message.startsWith("A gateway is connected");
  });
  await rejects(dropFrom(database), /^RefusedError: A gateway is connected to this database\./);
  await gateway[Symbol.asyncDispose]();
  await eventually("it is gone", async () => {
    const sessions = await database.sql`
      select from pg_stat_activity
      where datname = current_database() and application_name like 'lotline-gateway%'`;
    return sessions.length === 0;
  });
  match((await dropFrom(database)).text, /^15 tables/);
});

Deno.test("a cutover that was stopped, with the kill switch on, can be dropped", async () => {
  await using database = await freshDatabase();
  await kill(database.sql, NOTE);
  match((await dropFrom(database)).text, /^15 tables/);
});

Deno.test("nothing is dropped while migrate runs, or from a database with pending migrations", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await using other = await openTransaction(sql, "select pg_advisory_xact_lock(5684631)");
  await rejects(dropFrom(database), /^RefusedError: A migration of this database is running/);
  await other.commit();
  await sql.unsafe(`
    alter table lotline.migrations drop constraint migrations_pkey;
    alter table lotline.migrations drop column series`).simple();
  await rejects(dropFrom(database), /^RefusedError: .* by an older Lotline: run deno task migrate/);
});

Deno.test("a table that another object depends on keeps all of them", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`create view changes_of_plant as select * from lotline.route_changes`;
  await rejects(dropFrom(database), /other objects depend on/);
  strictEqual(
    (await sql`select from lotline.migrations where series = 'cutover'`).length > 0,
    true,
  );
  strictEqual((await readRoutes(sql)).routes.size > 0, true);
});

Deno.test("a database without Lotline has nothing to drop", async () => {
  await using database = await freshDatabase({ migrated: false });
  strictEqual((await dropFrom(database)).text, "This database has no tables of the cutover");
});
