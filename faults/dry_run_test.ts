import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { connect, type Sql } from "../db/connect.ts";
import { migrate } from "../db/migrate.ts";
import { startApi } from "../testing/api.ts";
import { openLink } from "../testing/black_hole.ts";
import { freshDatabase } from "../testing/database.ts";
import { postDry, SECRET } from "../testing/dry_run.ts";
import { eventually, withDeadline } from "../testing/eventually.ts";
import { ownPostgres } from "../testing/postgres_servers.ts";

const environment = { DRY_RUN_SECRET: SECRET };

Deno.test("dry runs while PostgreSQL is killed and started: 201 or 503, and nothing is stored", async () => {
  await using postgres = await ownPostgres();
  const { server } = postgres;
  await migrate(server.url, () => {});
  await using api = await startApi({ databaseUrl: server.url, environment });
  const statuses = new Map<number, number>();
  let isOver = false;
  const keepAsking = async (worker: number) => {
    for (let i = 0; !isOver; i++) {
      const { status, headers } = await postDry(api, "/api/lots", { lot_code: `K-${worker}-${i}` });
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      ok(status === 201 || status === 503, `${status}`);
      strictEqual(headers.get("retry-after"), status === 503 ? "1" : null);
    }
  };
  const workers = Array.from({ length: 8 }, (_, worker) => keepAsking(worker));
  const answered = (status: number) => statuses.get(status) ?? 0;
  for (let round = 1; round <= 2; round++) {
    await eventually("dry runs go well", () => Promise.resolve(answered(201) > 50));
    await server.kill();
    await eventually("they notice", () => Promise.resolve(answered(503) > 20));
    await server.start();
    statuses.clear();
  }
  await eventually("they go well again", () => Promise.resolve(answered(201) > 50));
  isOver = true;
  await Promise.all(workers);
  await using reading = {
    sql: connect({ url: server.url, max: 1 }),
    [Symbol.asyncDispose]: () => reading.sql.end(),
  };
  deepStrictEqual([...await reading.sql`select lot_code from lots`], []);
});

/** What dry runs have open in this database. */
function transactions(sql: Sql, state: string): Promise<readonly unknown[]> {
  return sql`
    select from pg_stat_activity
    where application_name = 'lotline-dry-runs' and datname = current_database()
      and xact_start is not null and state like ${state} and query like 'insert%'`;
}

Deno.test("a process that stands still in the middle of a dry run keeps its code for a quarter of a second", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await using api = await startApi({ databaseUrl: database.url, environment });
  strictEqual((await postDry(api, "/api/lots", { lot_code: "HELD" })).status, 201);
  await sql.unsafe(`
    create function slow() returns trigger language plpgsql as
      $$ begin perform pg_sleep(0.1); return new; end $$;
    create trigger slow before insert on lots for each row execute function slow()`);

  // The first with a weight: its statement is prepared first, and the rollback sent when it is done.
  const asked = postDry(api, "/api/lots", { lot_code: "HELD", weight_kg: 1 });
  await eventually("it is at work", async () => (await transactions(sql, "active")).length > 0);
  api.process.kill("SIGSTOP");
  try {
    // Nobody but PostgreSQL can end it. This writer would wait for two seconds, then fail.
    await sql`insert into lots (lot_code) values ('HELD')`;
    // PostgreSQL lets go of its locks a moment before it says that the transaction is over.
    await eventually("it is over", async () => (await transactions(sql, "%")).length === 0);
  } finally {
    api.process.kill("SIGCONT");
  }
  // Its connection is gone, and on another one the code is taken.
  ok([409, 503].includes((await asked).status));
});

Deno.test("dry runs behind a link that carries nothing are 503, and go on when it is mended", async () => {
  await using database = await freshDatabase();
  await using link = await openLink(Number(new URL(database.url).port));
  const address = new URL(database.url);
  address.port = String(link.port);
  await using api = await startApi({ databaseUrl: address.href, environment });
  const ask = async () => (await postDry(api, "/api/lots", { lot_code: "LINK" })).status;
  strictEqual(await ask(), 201);
  link.swallow();
  const asked = Promise.all(Array.from({ length: 6 }, ask));
  deepStrictEqual(await withDeadline("all are answered", asked), Array(6).fill(503));
  link.heal();
  await eventually("they go well again", async () => await ask() === 201);
});
