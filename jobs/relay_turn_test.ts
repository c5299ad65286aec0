import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { LockHolder } from "../db/lock_holders.ts";
import { RELAY_LOCK } from "../db/outbox.ts";
import { openSession } from "../db/session.ts";
import type { LogFields } from "../log.ts";
import { freshDatabase, type TestDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { createTurns, isWorkingRelay } from "./relay_turn.ts";

/** A relay that waits for its turn. */
function waiting({ url }: TestDatabase) {
  const lines: { line: string; fields: LogFields }[] = [];
  const stop = new AbortController();
  const session = openSession(url, { name: "lotline-relay" });
  const turns = createTurns((level, event, fields = {}) =>
    lines.push({ line: `${level} ${event}`, fields })
  );
  let isOver = false;
  const taking = turns.take(stop.signal, session.sql).then(() => isOver = true);
  return {
    lines,
    isOver: () => isOver,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await taking;
      await session[Symbol.asyncDispose]();
    },
  };
}

/** A connection with the relay's lock. */
async function holding({ url }: TestDatabase, name: string) {
  const session = openSession(url, { name });
  await session.sql`select pg_advisory_lock(${RELAY_LOCK})`;
  return session;
}

Deno.test("a relay that waits for another one says so once, with who it is and since when", async () => {
  await using database = await freshDatabase();
  await using other = await holding(database, "lotline-relay");
  const [own] = await other.sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  await using relay = waiting(database);
  await eventually("it says so", () => relay.lines.length > 0);
  const [{ line, fields } = { line: "", fields: {} }] = relay.lines;
  deepStrictEqual([line, fields.pid, fields.application, fields.client], [
    "info relay_waits",
    own?.pid,
    "lotline-relay",
    "127.0.0.1",
  ]);
  ok(fields.connected_at && fields.idle_since);
  await other[Symbol.asyncDispose]();
  await eventually("it has its turn", relay.isOver);
  strictEqual(relay.lines.length, 1);
});

Deno.test("a relay whose lock is held by another program warns, with the statement that ends it", async () => {
  await using database = await freshDatabase();
  await using _other = await holding(database, "lotline-api");
  await using relay = waiting(database);
  await eventually("it warns", () => relay.lines.length > 0);
  const [{ line, fields } = { line: "", fields: {} }] = relay.lines;
  deepStrictEqual([line, fields.application], ["warn relay_blocked", "lotline-api"]);
  await database.sql.unsafe(String(fields.todo));
  await eventually("it has its turn", relay.isOver);
});

Deno.test("a relay is working unless it is silent for long", () => {
  const holder: LockHolder = {
    pid: 1,
    application: "lotline-relay",
    user: "plant",
    client: null,
    connectedAt: null,
    transactionAt: null,
    idleAt: null,
    silentS: 3,
  };
  strictEqual(isWorkingRelay(holder), true);
  strictEqual(isWorkingRelay({ ...holder, silentS: null }), true, "this user may not see it");
  strictEqual(isWorkingRelay({ ...holder, silentS: 11 }), false);
  strictEqual(isWorkingRelay({ ...holder, application: "psql" }), false);
});
