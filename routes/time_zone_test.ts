import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { startApi, type TestApi } from "../testing/api.ts";
import { postDry, SECRET } from "../testing/dry_run.ts";
import { eventually } from "../testing/eventually.ts";
import { ownPostgres } from "../testing/postgres_servers.ts";
import { connect } from "../db/connect.ts";
import { migrate } from "../db/migrate.ts";
import { taskOutput } from "../testing/task_output.ts";
import { setDatabaseZone, zonedDatabase } from "../testing/zoned_database.ts";

/*
 * A time without an offset is read in the plant's time zone. `cutover/compare/time_zone_test.ts` compares
 * many such times with the old server.
 */

let made = 0;

/** The stored time of a lot, or the status of the refusal. */
async function createdAt(api: TestApi, created_at: unknown, dry = false): Promise<unknown> {
  const body = { lot_code: `ZONE-${made++}`, created_at };
  const { status, json } = dry
    ? await postDry(api, "/api/lots", body)
    : await api.post("/api/lots", body);
  return status === 201 ? json.created_at : status;
}

async function decidedAt(api: TestApi, decided_at: unknown): Promise<unknown> {
  const { status, json } = await api.post("/api/qc-decisions", { decision: "PASS", decided_at });
  return status === 201 ? json.decided_at : status;
}

const WINTER = "2026-01-19 10:11:12";

const SOURCES = [
  ["the server, without any", {}, "", "2026-01-19T10:11:12.000Z"],
  ["the database", { database: "Europe/Berlin" }, "", "2026-01-19T09:11:12.000Z"],
  [
    "the role, over the database's",
    { database: "Europe/Berlin", role: "America/St_Johns" },
    "",
    "2026-01-19T13:41:12.000Z",
  ],
  [
    "TIME_ZONE, over both",
    { database: "Europe/Berlin", role: "America/St_Johns" },
    "Australia/Lord_Howe",
    "2026-01-18T23:11:12.000Z",
  ],
  ["TIME_ZONE in any case", { database: "UTC" }, "europe/berlin", "2026-01-19T09:11:12.000Z"],
  ["TIME_ZONE, UTC", { database: "Europe/Berlin" }, "UTC", "2026-01-19T10:11:12.000Z"],
] as const;

for (const [what, zones, TIME_ZONE, expected] of SOURCES) {
  Deno.test(`a time without an offset is in the time zone of ${what}`, async () => {
    await using database = await zonedDatabase(zones);
    await using api = await startApi({
      databaseUrl: database.url,
      environment: { TIME_ZONE, DRY_RUN_SECRET: SECRET },
    });
    strictEqual(await createdAt(api, WINTER), expected);
    strictEqual(await createdAt(api, WINTER, true), expected);
    strictEqual(await decidedAt(api, WINTER), expected);
    for (const offset of ["Z", "+00", "+0000", "-00:00"]) {
      strictEqual(await createdAt(api, WINTER + offset), "2026-01-19T10:11:12.000Z", offset);
    }
  });
}

const IN_BERLIN = [
  // Summer time begins: the hour from 02:00 is left out, and counts as an hour later.
  ["2026-03-29T01:59:59", "2026-03-29T00:59:59.000Z"],
  ["2026-03-29T02:00:00", "2026-03-29T01:00:00.000Z"],
  ["2026-03-29T02:30", "2026-03-29T01:30:00.000Z"],
  ["2026-03-29T02:59:59", "2026-03-29T01:59:59.000Z"],
  ["2026-03-29T03:00:00", "2026-03-29T01:00:00.000Z"],
  // It ends: the hour from 02:00 is there twice, and the second one counts.
  ["2026-10-25T01:59:59", "2026-10-24T23:59:59.000Z"],
  ["2026-10-25T02:00:00", "2026-10-25T01:00:00.000Z"],
  ["2026-10-25 02:30", "2026-10-25T01:30:00.000Z"],
  ["2026-10-25T02:59:59", "2026-10-25T01:59:59.000Z"],
  ["2026-10-25T03:00:00", "2026-10-25T02:00:00.000Z"],
  ["2026-10-25T02:30+02:00", "2026-10-25T00:30:00.000Z"],
  // Days begin at local midnight.
  ["2026-07-01", "2026-06-30T22:00:00.000Z"],
  ["2026-07-01T24:00", "2026-07-01T22:00:00.000Z"],
  [20260701, "2026-06-30T22:00:00.000Z"],
  ["Jul 1 2026 10:00", "2026-07-01T08:00:00.000Z"],
  ["Jul 1 2026 10:00 CET", "2026-07-01T09:00:00.000Z"],
  ["2026-07-01 10:00 America/New_York", "2026-07-01T14:00:00.000Z"],
  ["2026-07-01T10:00:00.123456", "2026-07-01T08:00:00.123Z"],
  // Local mean time, before there were zones.
  ["1890-01-01T00:00:00", "1889-12-31T23:06:32.000Z"],
  // The year counts in UTC.
  ["0001-01-01T00:30", 422],
  ["0001-01-01T00:53:28", "0001-01-01T00:00:00.000Z"],
  ["9999-12-31T23:59:59", "9999-12-31T22:59:59.000Z"],
  ["yesterday", 422],
  ["2026-02-30", 422],
  ["Feb 30 2026", 422],
] as const;

Deno.test("gaps, overlaps, days and other spellings are read as PostgreSQL reads them in the zone", async () => {
  for (const major of [15, 17] as const) {
    await using database = await zonedDatabase({ major, database: "Europe/Berlin" });
    await using api = await startApi({ databaseUrl: database.url });
    for (const [sent, expected] of IN_BERLIN) {
      strictEqual(await createdAt(api, sent), expected, `${sent} on ${major}`);
    }
    const [row] = await database.sql`
      select count(*)::int as lots,
        count(*) filter (where created_at = '2026-07-01 08:00:00.123456Z')::int as exact from lots`;
    const stored = IN_BERLIN.filter(([, expected]) => expected !== 422).length;
    deepStrictEqual(row, { lots: stored, exact: 1 });
  }
});

Deno.test("day and month are in the database's order, also in UTC", async () => {
  for (
    const [dateStyle, day] of [["ISO, DMY", "2026-08-07"], ["ISO, MDY", "2026-07-08"]] as const
  ) {
    await using database = await zonedDatabase({ database: "UTC", dateStyle });
    await using api = await startApi({ databaseUrl: database.url });
    strictEqual(await createdAt(api, "7/8/2026 10:00"), `${day}T10:00:00.000Z`);
    strictEqual(await createdAt(api, "2026-07-08"), "2026-07-08T00:00:00.000Z");
    await using set = await startApi({
      databaseUrl: database.url,
      environment: { TIME_ZONE: "UTC" },
    });
    strictEqual(await createdAt(set, "7/8/2026 10:00"), `${day}T10:00:00.000Z`);
  }
});

Deno.test("the start says which zone counts, and which others there are", async () => {
  await using database = await zonedDatabase({
    database: "Europe/Berlin",
    role: "America/St_Johns",
  });
  await using api = await startApi({ databaseUrl: database.url });
  const eventOf = async (event: string) => {
    const line = await api.log.find((line) => line.includes(`"event":"${event}"`));
    const { time: _, ...fields } = JSON.parse(line);
    return fields;
  };
  deepStrictEqual(await eventOf("time_zone"), {
    level: "info",
    event: "time_zone",
    zone: "America/St_Johns",
    source: "role",
  });
  deepStrictEqual(await eventOf("time_zones_differ"), {
    level: "warn",
    event: "time_zones_differ",
    zone: "America/St_Johns",
    source: "role",
    others: "Europe/Berlin (database)",
  });
});

for (const task of ["start", "worker", "migrate"] as const) {
  Deno.test(`deno task ${task} ends with one sentence when TIME_ZONE is no time zone`, async () => {
    for (const TIME_ZONE of ["Mars/Base", "+02:00"]) {
      const { code, output, error } = await taskOutput([task], {
        DATABASE_URL: "postgres://127.0.0.1:1/none",
        AUTH_MODE: "legacy",
        JWT_KEYS_FILE: "none",
        TIME_ZONE,
      });
      deepStrictEqual([code, output], [1, ""]);
      match(error, /^Invalid settings:\n {2}TIME_ZONE is invalid: expected [^\n]*\n?$/);
    }
  });
}

Deno.test("a zone that was changed counts once the connection to PostgreSQL was lost", async () => {
  await using own = await ownPostgres();
  const { server } = own;
  await migrate(server.url, () => {});
  const sql = connect({ url: server.url, max: 1 });
  await setDatabaseZone(sql, "Europe/Berlin");
  await using api = await startApi({ databaseUrl: server.url });
  strictEqual(await createdAt(api, WINTER), "2026-01-19T09:11:12.000Z");
  await setDatabaseZone(sql, "America/St_Johns");
  await sql.end();

  await server.stop();
  for (const sent of [WINTER, "Jan 19 2026 10:11:12", `${WINTER}Z`]) {
    strictEqual(await createdAt(api, sent), 503, sent);
  }
  await server.start();
  await eventually("PostgreSQL is used again", async () => {
    const time = await createdAt(api, WINTER);
    ok(time === 503 || time === "2026-01-19T13:41:12.000Z", String(time));
    return time !== 503;
  });
});

Deno.test("an API that starts without PostgreSQL reads the zone when it is there", async () => {
  await using own = await ownPostgres();
  const { server } = own;
  await migrate(server.url, () => {});
  const sql = connect({ url: server.url, max: 1 });
  await setDatabaseZone(sql, "Europe/Berlin");
  await sql.end();
  await server.stop();
  await using api = await startApi({ databaseUrl: server.url });
  strictEqual(await createdAt(api, WINTER), 503);
  await server.start();
  await api.log.find((line) => line.includes('"event":"time_zone"'));
  strictEqual(await createdAt(api, WINTER), "2026-01-19T09:11:12.000Z");
});

Deno.test("a role's statements need no right besides those to write lots", async () => {
  await using database = await zonedDatabase({ database: "Europe/Berlin" });
  const { sql, url } = database;
  const role = `plain_${crypto.randomUUID().slice(0, 8)}`;
  await sql.unsafe(`create role ${role} login`);
  await sql.unsafe(`
    grant usage on schema public, auth, lotline to ${role};
    grant select, insert on lots, qc_decisions to ${role}`).simple();
  try {
    await using api = await startApi({
      databaseUrl: Object.assign(new URL(url), { username: role }).href,
    });
    strictEqual(await createdAt(api, WINTER), "2026-01-19T09:11:12.000Z");
  } finally {
    await sql.unsafe(`drop owned by ${role}`);
    await sql.unsafe(`drop role ${role}`);
  }
});
