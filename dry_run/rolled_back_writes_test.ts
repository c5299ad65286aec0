import { deepStrictEqual, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { dump, dumpChanges } from "../testing/dump.ts";
import { eventually } from "../testing/eventually.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import type { Sql } from "../db/sql.ts";
import { insertLot } from "../db/lots.ts";
import { insertQcDecision } from "../db/qc_decisions.ts";
import { openSession } from "../db/session.ts";
import { writeTo } from "../db/write.ts";
import { createRolledBackWrites, DRY_RUN_SESSIONS } from "./rolled_back_writes.ts";

/** A database with dry runs on it; `opened` counts their sessions. */
async function startDryRuns() {
  const database = await freshDatabase();
  const counts = { opened: 0 };
  const dryRuns = createRolledBackWrites((onEnd) => {
    counts.opened++;
    return openSession(database.url, { ...DRY_RUN_SESSIONS, onEnd });
  }, database.url);
  return {
    url: database.url,
    sql: database.sql,
    dry: dryRuns.write,
    counts,
    [Symbol.asyncDispose]: async () => {
      dryRuns[Symbol.dispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

const codeOf = (error: unknown) => error instanceof Error && "code" in error ? error.code : error;
const failure = (promise: Promise<unknown>) => promise.then(() => undefined, codeOf);

async function lostChanges(sql: Sql): Promise<unknown> {
  const [row] = await sql`select last_value, is_called from lotline.lost_changes`;
  return row;
}

/** The pids of the dry runs' sessions. */
async function pids(sql: Sql): Promise<number[]> {
  const rows = await sql<{ pid: number }[]>`
    select pid from pg_stat_activity
    where application_name = ${DRY_RUN_SESSIONS.name} and datname = current_database()`;
  return rows.map(({ pid }) => pid);
}

/** Transactions that dry runs have left open. */
async function openTransactions(sql: Sql): Promise<unknown[]> {
  return [
    ...await sql`
      select state, query from pg_stat_activity
      where application_name = ${DRY_RUN_SESSIONS.name} and datname = current_database()
        and xact_start is not null`,
  ];
}

Deno.test("a dry run returns the row of the real write, and leaves the database unchanged byte for byte", async () => {
  await using it = await startDryRuns();
  const before = await dump(it.sql);
  const lot = { lot_code: "DRY-1", weight_kg: "540.0", created_at: "2026-01-19T10:11:12Z" };
  const [first, second] = [await insertLot(it.dry, lot), await insertLot(it.dry, lot)];
  const decision = await insertQcDecision(it.dry, { decision: "PASS" });
  deepStrictEqual(await openTransactions(it.sql), []);
  deepStrictEqual(dumpChanges(before, await dump(it.sql)), { gone: [], added: [] });
  const real = await insertLot(writeTo(it.sql), lot);
  deepStrictEqual({ ...first, id: "" }, { ...real, id: "" });
  strictEqual(new Set([first.id, second.id, real.id, decision.id]).size, 4);
  strictEqual(it.counts.opened, 1, "one session for one after the other");
});

Deno.test("a dry run is refused as the real write is, and its session stays usable", async () => {
  await using it = await startDryRuns();
  await insertLot(writeTo(it.sql), { lot_code: "TAKEN" });
  const unknown = crypto.randomUUID();
  const refused = [
    { lot_code: "TAKEN" },
    { lot_code: "A", phase_id: unknown },
    { lot_code: "A", operator_id: unknown },
    { lot_code: "A", lot_type: "NONE" },
    { lot_code: "A", weight_kg: "heavy" },
  ];
  for (const lot of refused) {
    const [dry, real] = [insertLot(it.dry, lot), insertLot(writeTo(it.sql), lot)];
    const [one, other] = await Promise.allSettled([dry, real]);
    ok(one.status === "rejected" && other.status === "rejected");
    deepStrictEqual([one.reason.code, one.reason.message], [
      other.reason.code,
      other.reason.message,
    ]);
  }
  strictEqual((await insertLot(it.dry, { lot_code: "B" })).lot_code, "B");
  strictEqual(it.counts.opened, 1);
});

Deno.test("a deferred constraint is checked, though nothing is committed", async () => {
  await using it = await startDryRuns();
  await it.sql.unsafe(`
    alter table lots alter constraint lots_phase_id_fkey deferrable initially deferred`);
  const lot = { lot_code: "DEFERRED", phase_id: crypto.randomUUID() };
  strictEqual(await failure(insertLot(writeTo(it.sql), lot)), "unknown_reference");
  strictEqual(await failure(insertLot(it.dry, lot)), "unknown_reference");
  strictEqual((await insertLot(it.dry, { lot_code: "DEFERRED" })).lot_code, "DEFERRED");
});

Deno.test("a locked outbox loses changes of real writes, never of dry runs", async () => {
  await using it = await startDryRuns();
  const before = await lostChanges(it.sql);
  await using _lock = await openTransaction(it.sql, "lock table lotline.outbox");
  strictEqual((await insertLot(it.dry, { lot_code: "LOST-1" })).lot_code, "LOST-1");
  strictEqual((await insertQcDecision(it.dry, { decision: "PASS" })).decision, "PASS");
  deepStrictEqual(await lostChanges(it.sql), before);
  await insertLot(writeTo(it.sql), { lot_code: "LOST-1" });
  notStrictEqual(JSON.stringify(await lostChanges(it.sql)), JSON.stringify(before));
});

Deno.test("a dry run waits for a lock for at most 200 ms, and blocks no writer during that time", async () => {
  await using it = await startDryRuns();
  await using lock = await openTransaction(
    it.sql,
    "insert into lots (lot_code) values ('HELD'); lock table lot_genealogy",
  );
  strictEqual(await failure(insertLot(it.dry, { lot_code: "HELD" })), "55P03");
  strictEqual((await insertLot(it.dry, { lot_code: "FREE" })).lot_code, "FREE");
  await lock.commit();
  strictEqual(await failure(insertLot(it.dry, { lot_code: "HELD" })), "taken");
});

Deno.test("a slow statement is cancelled", async () => {
  await using it = await startDryRuns();
  strictEqual(await failure(it.dry({ text: "select pg_sleep(9)", parameters: [] })), "57014");
  strictEqual((await insertLot(it.dry, { lot_code: "AFTER" })).lot_code, "AFTER");
});

Deno.test("with concurrent dry runs and real writes of one code, every real one succeeds in turn", async () => {
  await using it = await startDryRuns();
  let stored = 0;
  for (let i = 0; i < 40; i++) {
    const lot = { lot_code: `SAME-${i}` };
    const dry = () => failure(insertLot(it.dry, lot));
    const [one, real, other] = await Promise.all([
      dry(),
      failure(insertLot(writeTo(it.sql), lot)),
      dry(),
    ]);
    strictEqual(real, undefined);
    for (const outcome of [one, other]) {
      ok(outcome === undefined || outcome === "taken", `${outcome}`);
    }
    stored++;
  }
  const [row] = await it.sql<{ count: number }[]>`select count(*)::int from lots`;
  strictEqual(row?.count, stored);
});

Deno.test("a table that was changed since the last run doesn't bypass the rollback", async () => {
  await using it = await startDryRuns();
  await insertLot(it.dry, { lot_code: "BEFORE", weight_kg: "1.50" });
  // The session's prepared statement is outdated now, and postgres.js would send it again.
  await it.sql.unsafe("alter table lots alter weight_kg type text");
  const lot = await insertLot(it.dry, { lot_code: "AFTER", weight_kg: "1.50" });
  strictEqual(lot.lot_code, "AFTER");
  deepStrictEqual([...await it.sql`select lot_code from lots`], []);
});

Deno.test("a statement outside its transaction writes nothing", async () => {
  await using it = await startDryRuns();
  await using session = openSession(it.url, DRY_RUN_SESSIONS);
  const lot = { lot_code: "PAST" };
  strictEqual(await failure(insertLot(writeTo(session.sql), lot)), "25006");
  // As when the connection is lost in between, or PostgreSQL refuses to start a transaction.
  await session.sql`begin`;
  strictEqual(await failure(insertLot(writeTo(session.sql), lot)), "25006");
});

Deno.test("sessions that PostgreSQL ends in the middle leave nothing, and are replaced", async () => {
  await using it = await startDryRuns();
  let isOver = false;
  const outcomes: unknown[] = [];
  const keepRunning = async (worker: number) => {
    for (let i = 0; !isOver; i++) {
      // Each one is a new statement to prepare, as the first of its kind is.
      const fields = ["weight_kg", "temperature_c", "created_at"].slice(0, i % 4);
      const more = Object.fromEntries(fields.map((name) => [name, null]));
      outcomes.push(await failure(insertLot(it.dry, { lot_code: `END-${worker}-${i}`, ...more })));
    }
  };
  const workers = [0, 1, 2, 3, 4].map(keepRunning);
  const wentWell = () => outcomes.filter((code) => code === undefined).length;
  let rounds = 0;
  await eventually("30 rounds of ends and 20 successful dry runs", async () => {
    for (const pid of await pids(it.sql)) await it.sql`select pg_terminate_backend(${pid})`;
    return ++rounds >= 30 && wentWell() >= 20;
  }).finally(() => isOver = true);
  await Promise.all(workers);
  for (const code of new Set(outcomes)) {
    // Some end while they start: LINK_FAILED.
    ok(
      code === undefined ||
        /^(CONNECTION_|57P01|QUERY_DEADLINE|EPIPE|ECONN|LINK_FAILED)/.test(`${code}`),
      `${code}`,
    );
  }
  deepStrictEqual([...await it.sql`select lot_code from lots`], []);
  await eventually(
    "each lost session is gone for good",
    async () => (await pids(it.sql)).length <= 4,
  );
  await eventually("none is open", async () => (await openTransactions(it.sql)).length === 0);
});

Deno.test("at most four run at a time; one that waits too long for a slot gets 503", async () => {
  await using it = await startDryRuns();
  await using lock = await openTransaction(it.sql, "lock table lots in share mode");
  const outcomes = await Promise.all(
    Array.from({ length: 40 }, (_, i) => failure(insertLot(it.dry, { lot_code: `MANY-${i}` }))),
  );
  ok(lock.isOpen, "none has waited for the lock");
  strictEqual(it.counts.opened, 4);
  deepStrictEqual([...new Set(outcomes)].sort(), ["55P03", "QUERY_DEADLINE"]);
  await lock.commit();
  strictEqual((await insertLot(it.dry, { lot_code: "MANY" })).lot_code, "MANY");
});
