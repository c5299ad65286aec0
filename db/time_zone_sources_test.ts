import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { zonedDatabase } from "../testing/zoned_database.ts";
import { openSession } from "./session.ts";
import {
  findZones,
  otherZones,
  TimeZoneError,
  warningOf,
  type Zones,
} from "./time_zone_sources.ts";

const UTC: Zones = {
  zone: "UTC",
  dateStyle: "ISO, MDY",
  source: "server",
  session: "UTC",
  database: null,
  role: null,
  others: {},
};

for (const major of [15, 17] as const) {
  Deno.test(`a plain session shows what the role has, else the database, else the server (PostgreSQL ${major})`, async () => {
    await using plain = await freshDatabase({ major });
    deepStrictEqual(await findZones(plain.url, undefined), UTC);
    await using ofDatabase = await zonedDatabase({ major, database: "Europe/Berlin" });
    deepStrictEqual(await findZones(ofDatabase.url, undefined), {
      ...UTC,
      zone: "Europe/Berlin",
      source: "database",
      session: "Europe/Berlin",
      database: "Europe/Berlin",
    });
    await using ofRole = await zonedDatabase({ major, database: "UTC", role: "Asia/Tokyo" });
    deepStrictEqual(await findZones(ofRole.url, undefined), {
      ...UTC,
      zone: "Asia/Tokyo",
      source: "role",
      session: "Asia/Tokyo",
      database: "UTC",
      role: "Asia/Tokyo",
    });
    deepStrictEqual(await findZones(ofRole.url, "europe/berlin"), {
      ...UTC,
      zone: "Europe/Berlin",
      source: "setting",
      session: "Asia/Tokyo",
      database: "UTC",
      role: "Asia/Tokyo",
    });
  });
}

Deno.test("the options of an address count, as for any session of it", async () => {
  await using database = await zonedDatabase({ database: "Europe/Berlin" });
  const url = `${database.url}?options=-c%20TimeZone%3DAsia/Tokyo`;
  const { zone, source } = await findZones(url, undefined);
  deepStrictEqual([zone, source], ["Asia/Tokyo", "address"]);
});

Deno.test("other roles are shown with their zones when they use the database or have one for it", async () => {
  await using plant = await zonedDatabase({ role: "Asia/Tokyo" });
  await using elsewhere = await zonedDatabase({ role: "Asia/Seoul" });
  const own = await plant.sql<{ name: string }[]>`select current_database() as name`;
  const name = new URL(plant.url).username;
  const server = new URL(plant.url);
  server.username = "postgres";
  deepStrictEqual((await findZones(server.href, undefined)).others, {});

  await using _ = openSession(plant.url, { name: "lotline-test" });
  await _.sql`select`;
  deepStrictEqual((await findZones(server.href, undefined)).others, { [name]: "Asia/Tokyo" });

  const other = new URL(elsewhere.url).username;
  await plant.sql.unsafe(
    `alter role ${other} in database ${own[0]?.name} set timezone = 'Asia/Dhaka'`,
  );
  deepStrictEqual((await findZones(server.href, undefined)).others, {
    [name]: "Asia/Tokyo",
    [other]: "Asia/Dhaka",
  });
  await plant.sql.unsafe(`alter role ${other} in database ${own[0]?.name} reset timezone`);
});

Deno.test("a zone that PostgreSQL doesn't know is one sentence", async () => {
  await using database = await freshDatabase();
  await rejects(findZones(database.url, "Mars/Base"), (error) => {
    strictEqual(
      error instanceof TimeZoneError && error.message,
      "TIME_ZONE: PostgreSQL knows no time zone Mars/Base",
    );
    return true;
  });
});

const BERLIN = "Europe/Berlin";
const DIFFERENT: [what: string, zones: Partial<Zones>, expected: string | undefined][] = [
  ["nothing", {}, undefined],
  ["the database has another name of it", { database: "Etc/UTC" }, undefined],
  ["the database", { source: "role", role: "UTC", database: BERLIN }, `${BERLIN} (database)`],
  ["another role", { others: { app: BERLIN, b: "UTC" } }, `${BERLIN} (role app)`],
  [
    "a session has another than the setting",
    { source: "setting", session: BERLIN },
    `${BERLIN} (session)`,
  ],
  [
    "the setting overrules both",
    { source: "setting", session: "Asia/Tokyo", role: "Asia/Tokyo", database: BERLIN },
    `${BERLIN} (database), Asia/Tokyo (role)`,
  ],
  [
    "the setting overrules the database",
    { source: "setting", session: BERLIN, database: BERLIN },
    `${BERLIN} (database)`,
  ],
  ["the setting is the role's", { source: "setting", session: "UTC", role: "UTC" }, undefined],
];

Deno.test("the log names no role, and a zone of several roles once", () => {
  const zones = { ...UTC, others: { anna: BERLIN, ben: BERLIN } };
  strictEqual(otherZones(zones, () => "another role"), `${BERLIN} (another role)`);
});

for (const [what, zones, expected] of DIFFERENT) {
  Deno.test(`zones that differ: ${what}`, () => {
    strictEqual(otherZones({ ...UTC, ...zones }), expected);
    strictEqual(warningOf({ ...UTC, ...zones }) === undefined, expected === undefined);
  });
}
