import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { freePort } from "../dev/free_port.ts";
import type { LogFields } from "../log.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { pretendVersion } from "../testing/old_server.ts";
import { ownPostgres } from "../testing/postgres_servers.ts";
import { makeReadOnly, otherAddress } from "../testing/read_only.ts";
import { connect } from "./connect.ts";
import { migrate } from "./migrate.ts";
import { SERVICE_SERIES } from "./migrations.ts";
import type { Sql } from "./sql.ts";
import { watchDatabase } from "./watch_database.ts";

/** Looks at a database as a process does, more often. */
function watch(sql: Sql) {
  const lines: [level: string, event: string, fields: LogFields | undefined][] = [];
  const watching = watchDatabase({
    sql,
    series: SERVICE_SERIES,
    log: (...line) => void lines.push([line[0], line[1], line[2]]),
    everyMs: 20,
  });
  return {
    lines,
    events: () => lines.map(([, event]) => event),
    schema: (timeoutMs = 20_000) => watching.schema(timeoutMs),
    [Symbol.dispose]: () => watching[Symbol.dispose](),
  };
}

Deno.test("a database that is up to date is no line in the log", async () => {
  await using database = await freshDatabase();
  using watching = watch(database.sql);
  deepStrictEqual(await watching.schema(), { is: "current" });
  deepStrictEqual(watching.lines, []);
});

Deno.test("a database without the schema is a warning, and a line once it was migrated", async () => {
  await using database = await freshDatabase({ migrated: false });
  using watching = watch(database.sql);
  deepStrictEqual(await watching.schema(), { is: "missing" });
  deepStrictEqual(watching.lines, [
    ["warn", "schema_behind", { missing: "all", todo: "deno task migrate", left_out: undefined }],
  ]);
  await migrate(database.url, () => {});
  await eventually("it is current", async () => (await watching.schema()).is === "current");
  deepStrictEqual(watching.events().at(-1), "schema_current");
});

Deno.test("a database that lacks steps is a warning with their names, a later one with its own", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`delete from lotline.migrations where series = 'service' and number > 1`;
  using behind = watch(sql);
  strictEqual((await behind.schema()).is, "behind");
  const [, , fields] = behind.lines[0] ?? [];
  const [first = ""] = String(fields?.missing).split(" ");
  strictEqual(first.slice(0, 5), "0002_");

  await using later = await freshDatabase();
  await later.sql`insert into lotline.migrations (series, number, name, checksum)
    values ('service', 9000, '9000_later', '')`;
  using ahead = watch(later.sql);
  deepStrictEqual(await ahead.schema(), { is: "ahead", steps: ["9000_later"] });
  deepStrictEqual(ahead.lines, [["warn", "schema_ahead", { unknown: "9000_later" }]]);
});

Deno.test("a database that stops, starts and becomes read-only is a line each time", async () => {
  await using postgres = await ownPostgres();
  await migrate(postgres.server.url, () => {});
  const sql = connect({ url: postgres.server.url, max: 1 });
  {
    using watching = watch(sql);
    strictEqual((await watching.schema()).is, "current");
    const until = (events: string) =>
      eventually(events, () => watching.events().join(" ") === events);

    await postgres.server.stop();
    await until("database_down");
    await postgres.server.start();
    await until("database_down database_up");

    const readOnly = (value: "on" | "off") =>
      sql.unsafe(`alter role postgres set default_transaction_read_only = ${value}`);
    await readOnly("on");
    await postgres.server.restart();
    await eventually(
      "it is read-only",
      () => watching.lines.some(([, , fields]) => fields?.problem === "read_only"),
    );
  }
  await sql.end({ timeout: 1 });
});

Deno.test("without a reading the schema is unknown, and a request doesn't wait for long", async () => {
  const sql = connect({ url: `postgres://plant@127.0.0.1:${freePort()}/plant`, max: 1 });
  {
    using watching = watch(sql);
    await rejects(watching.schema(50), { code: "QUERY_DEADLINE" });
    await eventually("it is in the log", () => watching.events().includes("database_down"));
    const [, , fields] = watching.lines[0] ?? [];
    strictEqual(fields?.problem, "unreachable");
  }
  await sql.end({ timeout: 1 });
});

Deno.test("connections that only read leave a server that became read-only", async () => {
  await using database = await freshDatabase();
  const state = await makeReadOnly(database);
  const sql = connect({ url: otherAddress(database), max: 2 });
  try {
    // As connections to a demoted server, after its address leads to another one.
    await Promise.all([1, 2].map(() => sql`select pg_sleep(0.05)`));
    await state.end();
    using watching = watch(sql);
    const isReadOnly = async () =>
      (await sql`select current_setting('transaction_read_only') as now`)[0]?.now === "on";
    await eventually("new ones are used", async () => !await isReadOnly());
    await eventually("it says so", () => watching.events().at(-1) === "database_up");
    deepStrictEqual(watching.events(), ["database_down", "database_up"]);
  } finally {
    await sql.end({ timeout: 1 });
  }
});

Deno.test("a server that is too old is a line in the log", async () => {
  await using database = await freshDatabase();
  await pretendVersion(database, 140_011);
  const sql = connect({ url: otherAddress(database), max: 1 });
  {
    using watching = watch(sql);
    await eventually("it says so", () => watching.lines.length > 0);
    const [, , fields] = watching.lines[0] ?? [];
    strictEqual(fields?.problem, "old_server");
  }
  await sql.end({ timeout: 1 });
});
