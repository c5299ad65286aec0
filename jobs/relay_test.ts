import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { TraceChanges } from "../cache/trace_cache.ts";
import { connect } from "../db/connect.ts";
import type { Sql } from "../db/sql.ts";
import { migrate } from "../db/migrate.ts";
import { reportWrongServer } from "../db/servers.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import { ownPostgres } from "../testing/postgres_servers.ts";
import { makeReadOnly, otherAddress } from "../testing/read_only.ts";
import { runRelay, watchLosses } from "./relay.ts";

/** A relay that records its invalidations. */
function relayOn(databaseUrl: string) {
  const applied: TraceChanges[] = [];
  const lines: string[] = [];
  const stop = new AbortController();
  const running = runRelay({
    databaseUrl,
    log: (level, event) => lines.push(`${level} ${event}`),
    invalidation: {
      beginTurn() {},
      apply(changes) {
        applied.push(changes);
        return Promise.resolve();
      },
    },
  }, stop.signal);
  return {
    applied,
    lines,
    told: () => applied.flatMap(({ lotCodes }) => lotCodes),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running;
    },
  };
}

const size = async (sql: Sql) => (await sql`select from lotline.outbox`).length;

const isWorking = ({ applied }: { applied: TraceChanges[] }) => Promise.resolve(applied.length > 2);

/** Ends the sessions of relays, as an operator or a failover would. */
const cut = (sql: Sql) =>
  sql`select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'lotline-relay' and datname = current_database()`;

Deno.test("a change is relayed once and then deleted from the outbox", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`insert into lots (lot_code) values ('A'), ('B')`;
  await using relay = relayOn(database.url);
  await eventually("the outbox is empty", async () => await size(sql) === 0);
  await sql`update lots set weight_kg = 1 where lot_code = 'B'`;
  await eventually("the outbox is empty again", async () => await size(sql) === 0);
  await eventually("it was told", () => Promise.resolve(relay.told().length > 0));
  deepStrictEqual(relay.told(), ["B"]);
  ok(relay.applied.every(({ everything, complete }) => !everything && complete));
});

Deno.test("of two relays one works; when its connection is lost, one of them continues", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await using one = relayOn(database.url);
  await eventually("the first works", () => isWorking(one));
  await using other = relayOn(database.url);
  await sql`insert into lots (lot_code) values ('A')`;
  await sql`update lots set weight_kg = 1`;
  await eventually("it is told", () => Promise.resolve(one.told().length > 0));
  deepStrictEqual(other.applied, []);
  await cut(sql);
  await sql`update lots set weight_kg = 2`;
  await eventually("the outbox is empty", async () => await size(sql) === 0);
  deepStrictEqual([...one.told(), ...other.told()], ["A", "A"]);
});

Deno.test("when a relay ends, another follows within a second or two", async () => {
  await using database = await freshDatabase();
  const one = relayOn(database.url);
  await eventually("the first works", () => isWorking(one));
  await using other = relayOn(database.url);
  await one[Symbol.asyncDispose]();
  await eventually("the other works", () => isWorking(other));
});

Deno.test("a change that couldn't be noted empties the cache, which is bypassed until its transaction ends", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`insert into lots (lot_code) values ('A')`;
  await using relay = relayOn(database.url);
  await eventually("it works", () => isWorking(relay));
  await sql`alter table lotline.outbox add constraint broken check (source <> 'lots') not valid`;
  await using writer = await openTransaction(sql, "update lots set weight_kg = 1");
  await eventually("it knows", () => Promise.resolve(relay.applied.at(-1)?.complete === false));
  await sql`alter table lotline.outbox drop constraint broken`;
  const open = relay.applied.length;
  await eventually("some more ticks", () => Promise.resolve(relay.applied.length > open + 5));
  ok(relay.applied.slice(open).every(({ complete }) => !complete));
  await writer.commit();
  await eventually("it is over", () => Promise.resolve(relay.applied.at(-1)?.complete === true));
  const after = relay.applied.findLastIndex(({ complete }) => !complete) + 1;
  strictEqual(relay.applied[after]?.everything, true);
});

Deno.test("an open transaction delays only its own changes", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`insert into lots (lot_code) values ('A'), ('B')`;
  await using relay = relayOn(database.url);
  await using writer = await openTransaction(
    sql,
    "update lots set weight_kg = 1 where lot_code = 'A'",
  );
  for (let n = 0; n < 20; n++) await sql`update lots set weight_kg = ${n} where lot_code = 'B'`;
  await eventually("they are told", async () => await size(sql) === 0);
  strictEqual(relay.told().includes("A"), false);
  await writer.commit();
  await eventually("it is told", () => Promise.resolve(relay.told().includes("A")));
});

Deno.test("an outbox of more changes than a batch holds is emptied, too", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`insert into lotline.outbox (xid, source, operation)
    select (3 + n % 500)::text::xid8, 'lots', 'UPDATE' from generate_series(1, 12000) n`;
  await using relay = relayOn(database.url);
  await eventually("the outbox is empty", async () => await size(sql) === 0);
  ok(relay.applied[0]?.everything);
});

Deno.test("a relay continues after PostgreSQL was killed, and logs it once", async () => {
  await using postgres = await ownPostgres();
  const { server } = postgres;
  await migrate(server.url, () => {});
  await using relay = relayOn(server.url);
  await eventually("it works", () => isWorking(relay));
  await server.kill();
  await eventually("it has noticed", () => Promise.resolve(relay.lines.length === 1));
  await server.start();
  const sql = connect({ url: server.url, max: 1 });
  await eventually("it is back", () => Promise.resolve(relay.lines.length === 2));
  await sql`insert into lots (lot_code) values ('A')`;
  await eventually("the outbox is empty", async () => await size(sql) === 0);
  await sql.end();
  deepStrictEqual(relay.lines, ["warn relay_failed", "info relay_recovered"]);
});

Deno.test("a relay on a temporarily read-only database logs it once, and continues", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await using relay = relayOn(otherAddress(database));
  await eventually("it works", () => isWorking(relay));
  await sql`insert into lots (lot_code) values ('A')`;
  const state = await makeReadOnly(database);
  await cut(sql);
  const before = relay.applied.length;
  await eventually("it has tried again", () => Promise.resolve(relay.applied.length > before + 2));
  await state.end();
  await eventually("it is back", () => Promise.resolve(relay.lines.length > 1));
  deepStrictEqual(relay.lines, ["warn relay_failed", "info relay_recovered"]);
  await eventually("the outbox is empty", async () => await size(sql) === 0);
});

Deno.test("a relay leaves a server that became read-only, when another connection notices it", async () => {
  await using database = await freshDatabase();
  const { sql, url } = database;
  const pids = async () => {
    const rows = await sql<{ pid: number }[]>`
      select pid from pg_stat_activity
      where application_name = 'lotline-relay' and datname = current_database()`;
    return rows.map(({ pid }) => pid);
  };
  await using relay = relayOn(url);
  await eventually("it works", () => isWorking(relay));
  const before = await pids();
  reportWrongServer(url, performance.now());
  await eventually("it has another connection", async () => {
    const now = await pids();
    return now.length === 1 && now[0] !== before[0];
  });
  const applied = relay.applied.length;
  await eventually("it works again", () => Promise.resolve(relay.applied.length > applied + 2));
  deepStrictEqual(relay.lines, []);
});

Deno.test("a relay on a server that stays read-only works soon after the switch", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`insert into lots (lot_code) values ('A')`;
  const state = await makeReadOnly(database);
  await using relay = relayOn(otherAddress(database));
  // With doubled pauses the twelfth would come after the deadline of 20 s.
  await eventually("it has tried often", () => Promise.resolve(relay.applied.length >= 12));
  deepStrictEqual(relay.lines, ["warn relay_failed"]);
  await state.end();
  await eventually("the outbox is empty", async () => await size(sql) === 0);
  await eventually("it says so", () => Promise.resolve(relay.lines.length > 1));
  deepStrictEqual(relay.lines, ["warn relay_failed", "info relay_recovered"]);
});

const LOSSES: readonly {
  what: string;
  /** The count of losses and the horizon of each batch. */
  batches: [lost: string, horizon: string][];
  /** A time later than all those writes, at each call. */
  later: string[];
  said: string;
}[] = [
  {
    what: "nothing was ever lost",
    batches: [["0", "9"], ["0", "10"]],
    later: [],
    said: "none none",
  },
  {
    what: "something was lost before",
    batches: [["3", "9"], ["3", "10"], ["3", "11"], ["3", "12"], ["3", "13"]],
    later: ["12"],
    said: "open open open over none",
  },
  {
    what: "something is lost",
    batches: [["0", "9"], ["1", "9"], ["1", "99"], ["1", "100"], ["1", "101"]],
    later: ["100"],
    said: "none open open over none",
  },
  {
    what: "more is lost meanwhile",
    batches: [["0", "9"], ["1", "9"], ["2", "9"], ["2", "100"], ["2", "200"]],
    later: ["100", "200"],
    said: "none open open open over",
  },
];

for (const { what, batches, later, said } of LOSSES) {
  Deno.test(`losses: ${what}`, async () => {
    const lossAt = watchLosses(() => Promise.resolve(later.shift() ?? "none"));
    const outcomes: string[] = [];
    for (const [lost, horizon] of batches) outcomes.push(await lossAt({ lost, horizon }));
    strictEqual(outcomes.join(" "), said);
  });
}
