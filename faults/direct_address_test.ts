import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { RELAY_LOCK } from "../db/outbox.ts";
import { SCHEMA_LOCK } from "../db/journal.ts";
import type { Sql } from "../db/sql.ts";
import { openLinkTo } from "../testing/black_hole.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { readLines } from "../testing/lines.ts";
import { IGNORED_PARAMETERS, startPgBouncer } from "../testing/pgbouncer.ts";
import { postgresUrl } from "../testing/postgres_servers.ts";
import { taskOutput } from "../testing/task_output.ts";
import { startWorker } from "../testing/worker.ts";

/* Worker and migrations with a pooler in transaction mode before PostgreSQL. */

const server = await postgresUrl(17);
const strict = await startPgBouncer(server);
const lenient = await startPgBouncer(server, {
  settings: { ignore_startup_parameters: IGNORED_PARAMETERS },
});
Deno.test.afterAll(async () => {
  for (const one of [strict, lenient]) await one[Symbol.asyncDispose]();
});

const sentence = (setting: string, who: string, todo: string) =>
  `${setting} leads through a pooler in transaction mode, and ${who} holds locks of a connection: ${todo}`;
const SET = "set DATABASE_DIRECT_URL to the address of PostgreSQL itself";

/** The locks of sessions that a pooler would keep. */
async function locks(sql: Sql): Promise<number> {
  const held = await sql`
    select from pg_locks where locktype = 'advisory' and objid in (${SCHEMA_LOCK}, ${RELAY_LOCK})
      and database = (select oid from pg_database where datname = current_database())`;
  return held.length;
}

for (const [what, bouncer] of [["refuses", strict], ["ignores", lenient]] as const) {
  Deno.test(`worker and migrate end with one sentence before a pooler that ${what} our settings`, async () => {
    await using database = await freshDatabase();
    const DATABASE_URL = bouncer.through(database.url);
    const migrated = await taskOutput(["migrate"], { DATABASE_URL });
    deepStrictEqual(migrated, {
      code: 1,
      output: "",
      error: sentence("DATABASE_URL", "migrate", SET),
    });
    const worked = await taskOutput(["worker"], { DATABASE_URL });
    deepStrictEqual([worked.code, worked.error], [
      1,
      sentence("DATABASE_URL", "the worker", SET),
    ]);
    match(
      worked.output,
      /"level":"error","event":"direct_address_needed","setting":"DATABASE_URL"/,
    );
    strictEqual(worked.output.includes('"working"'), false);
    strictEqual(await locks(database.sql), 0);
  });
}

Deno.test("a direct address that is a pooler's, too, is named", async () => {
  await using database = await freshDatabase();
  const DATABASE_URL = strict.through(database.url);
  const { error } = await taskOutput(["migrate"], {
    DATABASE_URL,
    DATABASE_DIRECT_URL: DATABASE_URL,
  });
  strictEqual(
    error,
    sentence("DATABASE_DIRECT_URL", "migrate", "give the address of PostgreSQL itself there"),
  );
});

Deno.test("with a direct address migrations, worker and commands work beside a pooler", async () => {
  await using database = await freshDatabase({ migrated: false });
  const environment = { DATABASE_DIRECT_URL: database.url };
  const DATABASE_URL = strict.through(database.url);
  const { code, error } = await taskOutput(["migrate"], { ...environment, DATABASE_URL });
  deepStrictEqual([code, error], [0, ""]);
  await using _worker = await startWorker({ databaseUrl: DATABASE_URL, environment });
  await eventually("its relay works", async () => await locks(database.sql) === 1);
  for (const words of [["jobs", "list"], ["user", "list"]]) {
    const run = await taskOutput(words, { ...environment, DATABASE_URL });
    deepStrictEqual([words, run.code, run.error], [words, 0, ""]);
  }
});

Deno.test("a direct address that leads nowhere is named by its setting", async () => {
  await using database = await freshDatabase();
  const environment = {
    DATABASE_URL: database.url,
    DATABASE_DIRECT_URL: Object.assign(new URL(database.url), { port: "1" }).href,
  };
  for (const words of [["migrate"], ["jobs", "list"], ["user", "list"]]) {
    const { code, error } = await taskOutput(words, environment);
    strictEqual(code, 1);
    match(error, /^The database can't be reached: check host and port in DATABASE_DIRECT_URL, /);
  }
});

Deno.test("a worker whose database is unavailable at first decides later, and takes no lock until then", async () => {
  await using database = await freshDatabase();
  await using link = await openLinkTo(database.url);
  link.lead(1);
  const process = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "worker"],
    cwd: new URL("../", import.meta.url),
    env: { NO_COLOR: "1", DATABASE_URL: link.url },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const log = readLines(process.stdout);
  await log.find((line) => line.includes('"event":"database_down"'));
  await log.find((line) => line.includes('"event":"working"'));
  link.lead(lenient.port);
  await log.find((line) => line.includes('"event":"direct_address_needed"'));
  const { code } = await process.status;
  const errors = await new Response(process.stderr).text();
  await log.ended;
  deepStrictEqual([code, errors.trim()], [1, sentence("DATABASE_URL", "the worker", SET)]);
  strictEqual(await locks(database.sql), 0);
});
