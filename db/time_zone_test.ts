import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { setDatabaseZone, zonedDatabase } from "../testing/zoned_database.ts";
import type { LogFields } from "../log.ts";
import type { Sql } from "./sql.ts";
import { createTimeZone, noteTimeZone } from "./time_zone.ts";
import { TimeZoneError } from "./time_zone_sources.ts";

/** A time zone of a database, and what it has logged. */
function follow(databaseUrl: string, setting?: string, lifetimeMs?: number) {
  const lines: [event: string, fields?: LogFields][] = [];
  const zone = createTimeZone({
    databaseUrl,
    setting,
    log: (_level, event, fields) => lines.push([event, fields]),
  }, lifetimeMs);
  return {
    name: zone.name,
    rules: zone.rules,
    lines,
    [Symbol.dispose]: () => zone[Symbol.dispose](),
  };
}

async function sessions(sql: Sql): Promise<number> {
  return (await sql`select from pg_stat_activity
    where application_name = 'lotline-time-zone' and datname = current_database()`).length;
}

Deno.test("many readers cause one session, which ends with the reader", async () => {
  await using database = await zonedDatabase({ database: "Europe/Berlin" });
  const { sql } = database;
  {
    using zone = follow(database.url);
    const names = await Promise.all(Array.from({ length: 20 }, () => zone.name()));
    deepStrictEqual(new Set(names), new Set(["Europe/Berlin"]));
    strictEqual(await sessions(sql), 1);
    deepStrictEqual(zone.lines, [["time_zone", { zone: "Europe/Berlin", source: "database" }]]);
  }
  await eventually("it is closed", async () => await sessions(sql) === 0);
});

Deno.test("a lost connection, or the end of its lifetime, shows a changed zone", async () => {
  await using database = await zonedDatabase({ database: "Europe/Berlin" });
  const { sql } = database;
  using cut = follow(database.url);
  using old = follow(database.url, undefined, 50);
  deepStrictEqual([await cut.name(), await old.name()], ["Europe/Berlin", "Europe/Berlin"]);
  await setDatabaseZone(sql, "Asia/Tokyo");
  await eventually("it is read again", async () => await old.name() === "Asia/Tokyo");
  strictEqual(await cut.name(), "Europe/Berlin");
  await sql`select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'lotline-time-zone' and datname = current_database()`;
  await eventually("the loss is noticed", async () => await cut.name() === "Asia/Tokyo");
  deepStrictEqual(cut.lines.map(([, fields]) => fields?.zone), ["Europe/Berlin", "Asia/Tokyo"]);
});

Deno.test("UTC as the setting needs no database", async () => {
  using zone = follow("postgres://127.0.0.1:1/none", "Etc/UTC");
  strictEqual(await zone.name(), "Etc/UTC");
  await rejects(zone.rules(), { code: "LINK_FAILED" });
});

Deno.test("a setting holds over the database, in PostgreSQL's spelling", async () => {
  await using database = await zonedDatabase({ database: "Asia/Tokyo", dateStyle: "ISO, DMY" });
  using zone = follow(database.url, "europe/berlin");
  strictEqual(await zone.name(), "Europe/Berlin");
  strictEqual((await zone.rules()).dateStyle, "ISO, DMY");
  deepStrictEqual(zone.lines.map(([event, fields]) => [event, fields?.others]), [
    ["time_zone", undefined],
    ["time_zones_differ", "Asia/Tokyo (database)"],
  ]);
});

Deno.test("a setting that PostgreSQL doesn't know is never read as another zone", async () => {
  await using database = await freshDatabase();
  using zone = follow(database.url, "Mars/Base");
  await rejects(zone.name(), TimeZoneError);
  await eventually("the log says so", () => Promise.resolve(zone.lines.length > 0));
  deepStrictEqual(zone.lines, [["time_zone_unknown", { zone: "Mars/Base" }]]);
});

Deno.test("without PostgreSQL the zone isn't known, and it is once PostgreSQL is there", async () => {
  using zone = follow("postgres://127.0.0.1:1/none");
  await rejects(zone.name(), { code: "LINK_FAILED" });
  deepStrictEqual(zone.lines, []);
});

Deno.test("a worker notes the zone once", async () => {
  await using database = await zonedDatabase({ database: "Europe/Berlin" });
  const lines: unknown[] = [];
  const log = (_level: string, event: string) => lines.push(event);
  const { url: databaseUrl } = database;
  await noteTimeZone({ databaseUrl, setting: undefined, log }, new AbortController().signal);
  deepStrictEqual(lines, ["time_zone"]);
});
