import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { migrate } from "../db/migrate.ts";
import { problem } from "../db/problems.ts";
import { startApi, type TestApi } from "../testing/api.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { zonedDatabase } from "../testing/zoned_database.ts";

/** Status and body of readiness while a check fails. */
const notReady = (path: string, kind: Parameters<typeof problem>[0]) => {
  const { sentence, todo } = problem(kind);
  return [503, { error: sentence, details: [{ path, message: todo }] }];
};

const readiness = async (api: TestApi) => {
  const { status, json } = await api.get("/readyz");
  return [status, json];
};

const untilReady = (api: TestApi) =>
  eventually("ready", async () => (await api.get("/readyz")).status === 200);

/** The first line of an event. */
const lineOf = async ({ log }: TestApi, event: string) =>
  JSON.parse(await log.find((line) => line.includes(`"event":"${event}"`)));

Deno.test("an API on an empty database isn't ready, warns, and is ready after the migration", async () => {
  await using database = await freshDatabase({ migrated: false });
  await using api = await startApi({ databaseUrl: database.url });
  deepStrictEqual(await readiness(api), notReady("migrations", "schema_missing"));
  const { level, missing, todo } = await lineOf(api, "schema_behind");
  deepStrictEqual([level, missing, todo], ["warn", "all", "deno task migrate"]);
  const refused = await api.post("/api/lots", { lot_code: "EARLY" });
  deepStrictEqual([refused.status, refused.headers.get("retry-after")], [503, "1"]);

  await migrate(database.url, () => {});
  await untilReady(api);
  strictEqual((await api.post("/api/lots", { lot_code: "LATER" })).status, 201);
  await lineOf(api, "schema_current");
});

Deno.test("an API on a database that lacks a step isn't ready, and names the step in its log", async () => {
  await using database = await freshDatabase();
  const [last] = await database.sql<{ number: number; name: string; checksum: string }[]>`
    delete from lotline.migrations where series = 'service' and number = (
      select max(number) from lotline.migrations where series = 'service')
    returning number, name, checksum`;
  await using api = await startApi({ databaseUrl: database.url });
  deepStrictEqual(await readiness(api), notReady("migrations", "schema_old"));
  deepStrictEqual((await lineOf(api, "schema_behind")).missing, last?.name);

  await database.sql`insert into lotline.migrations (series, number, name, checksum)
    values ('service', ${last?.number ?? 0}, ${last?.name ?? ""}, ${last?.checksum ?? ""})`;
  await untilReady(api);
});

Deno.test("what an older database lacks is 503, and a fault when no migration is missing", async () => {
  await using database = await zonedDatabase({ database: "Europe/Berlin" });
  const { sql } = database;
  await sql`drop function lotline.moment_in_zone`;
  await sql`alter table lotline.idempotency_keys drop column request`;
  const requests = async (api: TestApi) => {
    const body = { lot_code: `OLD-${crypto.randomUUID()}`, created_at: "2026-07-18 10:00" };
    return [
      // Its function is missing, then a column.
      await api.post("/api/lots", body),
      await api.post("/api/lots", { lot_code: body.lot_code }, { "idempotency-key": "k-1" }),
    ];
  };
  {
    await using api = await startApi({ databaseUrl: database.url });
    await untilReady(api);
    deepStrictEqual((await requests(api)).map(({ status }) => status), [500, 500]);
  }
  await sql`delete from lotline.migrations where series = 'service' and number >= 15`;
  await using api = await startApi({ databaseUrl: database.url });
  await lineOf(api, "schema_behind");
  for (const { status, headers } of await requests(api)) {
    deepStrictEqual([status, headers.get("retry-after")], [503, "1"]);
  }
  const problems = api.log.lines.filter((line) => line.includes('"status":503'))
    .map((line) => JSON.parse(line).problem);
  deepStrictEqual(problems, ["schema_old", "schema_old"]);
});

Deno.test("an API on a database of a later version is ready, and warns", async () => {
  await using database = await freshDatabase();
  await database.sql`insert into lotline.migrations (series, number, name, checksum)
    values ('service', 9000, '9000_later', '')`;
  await using api = await startApi({ databaseUrl: database.url });
  await untilReady(api);
  strictEqual((await lineOf(api, "schema_ahead")).unknown, "9000_later");
});

Deno.test("an API on a read-only database isn't ready until it can be written again", async () => {
  await using database = await freshDatabase();
  const name = new URL(database.url).pathname.slice(1);
  const setReadOnly = (value: "on" | "off") =>
    database.sql.unsafe(`
      alter database ${name} set default_transaction_read_only = ${value};
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'lotline-api'`).simple();
  await using api = await startApi({ databaseUrl: database.url });
  await untilReady(api);

  await setReadOnly("on");
  await eventually("it isn't ready", async () => {
    const [status, body] = await readiness(api);
    return status === 503 && body.error === problem("read_only").sentence;
  });
  deepStrictEqual(await readiness(api), notReady("read_only", "read_only"));
  strictEqual((await api.get("/api/traceability/NONE")).status, 404, "reading goes on");
  strictEqual((await api.post("/api/lots", { lot_code: "READ-ONLY" })).status, 503);
  await eventually(
    "it is in the log",
    () =>
      api.log.lines.some((line) => line.includes('"event":"database_down","problem":"read_only"')),
  );

  await setReadOnly("off");
  await untilReady(api);
  await eventually(
    "a lot is stored",
    async () => (await api.post("/api/lots", { lot_code: "WRITTEN" })).status === 201,
  );
});
