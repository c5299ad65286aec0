import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { connect } from "../db/connect.ts";
import type { Sql } from "../db/sql.ts";
import { migrate } from "../db/migrate.ts";
import { startApi, type TestApi, type TestResponse } from "../testing/api.ts";
import { openLinkTo } from "../testing/black_hole.ts";
import { freshDatabase } from "../testing/database.ts";
import { postDry, SECRET } from "../testing/dry_run.ts";
import { eventually, withDeadline } from "../testing/eventually.ts";
import { ownPostgres } from "../testing/postgres_servers.ts";

const environment = { DRY_RUN_SECRET: SECRET };

/** Values of a lot; each subset of them makes a different statement. */
const VALUES = Object.entries({ weight_kg: 1, temperature_c: 2, lot_type: "RAW", metadata: {} });

Deno.test("dry runs while PostgreSQL is killed and started: 201 or 503, and nothing is stored", async () => {
  await using postgres = await ownPostgres();
  const { server } = postgres;
  await migrate(server.url, () => {});
  await using api = await startApi({ databaseUrl: server.url, environment });
  const statuses = new Map<number, number>();
  let isOver = false;
  const keepSending = async (worker: number) => {
    for (let i = 0; !isOver; i++) {
      const { status, headers } = await postDry(api, "/api/lots", { lot_code: `K-${worker}-${i}` });
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      ok(status === 201 || status === 503, `${status}`);
      strictEqual(headers.get("retry-after"), status === 503 ? "1" : null);
    }
  };
  const workers = Array.from({ length: 8 }, (_, worker) => keepSending(worker));
  const countOf = (status: number) => statuses.get(status) ?? 0;
  for (let round = 1; round <= 2; round++) {
    await eventually("dry runs go well", () => Promise.resolve(countOf(201) > 50));
    await server.kill();
    await eventually("they notice", () => Promise.resolve(countOf(503) > 20));
    await server.start();
    statuses.clear();
  }
  await eventually("they go well again", () => Promise.resolve(countOf(201) > 50));
  isOver = true;
  await Promise.all(workers);
  await using reading = {
    sql: connect({ url: server.url, max: 1 }),
    [Symbol.asyncDispose]: () => reading.sql.end(),
  };
  deepStrictEqual([...await reading.sql`select lot_code from lots`], []);
});

/** Whether a transaction of a dry run is open in this database. */
async function isOpen(sql: Sql): Promise<boolean> {
  const open = await sql`
    select from pg_stat_activity
    where application_name = 'lotline-dry-runs' and datname = current_database()
      and xact_start is not null and query like 'insert%'`;
  return open.length > 0;
}

/** Whether a dry run holds its code by now: it sleeps in the trigger that the test has created. */
async function isAsleep(sql: Sql): Promise<boolean> {
  const asleep = await sql`
    select from pg_stat_activity
    where application_name = 'lotline-dry-runs' and datname = current_database()
      and wait_event = 'PgSleep'`;
  return asleep.length > 0;
}

/**
 * Sends dry runs until the process is paused while one holds its code; returns the request.
 * PostgreSQL has sent no result by then, so the dry run can't have rolled back.
 */
async function stopInTheMiddle(api: TestApi, sql: Sql): Promise<{ asked: Promise<TestResponse> }> {
  // A busy machine may miss the moment.
  for (let subset = 1; subset < 2 ** VALUES.length; subset++) {
    let [isOver, isSeen] = [false, false];
    // A new statement is prepared first, and the rollback sent after its result.
    const values = Object.fromEntries(VALUES.filter((_, place) => subset & 2 ** place));
    const requested = postDry(api, "/api/lots", { lot_code: "HELD", ...values })
      .finally(() => isOver = true);
    while (!isOver && !isSeen) isSeen = await isAsleep(sql);
    api.process.kill("SIGSTOP");
    if (await isAsleep(sql)) return { asked: requested };
    api.process.kill("SIGCONT");
    await requested;
  }
  throw new Error("no dry run was seen at work");
}

Deno.test("a process that is paused in the middle of a dry run holds its code for a quarter of a second", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await using api = await startApi({ databaseUrl: database.url, environment });
  strictEqual((await postDry(api, "/api/lots", { lot_code: "HELD" })).status, 201);
  await sql.unsafe(`
    create function slow() returns trigger language plpgsql as
      $$ begin perform pg_sleep(0.2); return null; end $$;
    create trigger slow after insert on lots for each row execute function slow()`);

  const { asked: requested } = await stopInTheMiddle(api, sql);
  try {
    // Only PostgreSQL can end it. This writer would wait for two seconds, then fail.
    await sql`insert into lots (lot_code) values ('HELD')`;
    // PostgreSQL releases its locks a moment before it reports the end of the transaction.
    await eventually("it is over", async () => !await isOpen(sql));
  } finally {
    api.process.kill("SIGCONT");
  }
  // Its connection is lost, and on another one the code is taken.
  ok([409, 503].includes((await requested).status));
});

Deno.test("dry runs over a link that carries nothing are 503, and work when it is restored", async () => {
  await using database = await freshDatabase();
  await using link = await openLinkTo(database.url);
  await using api = await startApi({ databaseUrl: link.url, environment });
  const send = async () => (await postDry(api, "/api/lots", { lot_code: "LINK" })).status;
  strictEqual(await send(), 201);
  link.swallow();
  const requested = Promise.all(Array.from({ length: 6 }, send));
  deepStrictEqual(await withDeadline("all have a response", requested), Array(6).fill(503));
  link.heal();
  await eventually("they go well again", async () => await send() === 201);
});
