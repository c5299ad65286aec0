import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import type { Sql } from "../../db/sql.ts";
import { freshDatabase } from "../../testing/database.ts";
import { eventually } from "../../testing/eventually.ts";
import { openTransaction } from "../../testing/open_transaction.ts";
import { LEGACY_OPERATIONS, type Operation } from "../exchange/operations.ts";
import type { Mode } from "../exchange/route.ts";
import { describeMode, RouteRefusedError, untouchedRoute } from "./routing.ts";
import { listChanges } from "./route_changes.ts";
import {
  clearLatch,
  kill,
  readRoutes,
  release,
  rollBack,
  rollBackByHand,
  setMode,
} from "./routes_table.ts";
import { lockWaits } from "../../testing/lock_waits.ts";

const note = { who: "ana", why: "a try" };
const shadow: Mode = { name: "shadow" };
const canary = (percent: number): Mode => ({ name: "canary", percent });
const service: Mode = { name: "service" };
const legacy: Mode = { name: "legacy" };

const set = (sql: Sql, operation: Operation, mode: Mode, more = {}) =>
  setMode(sql, { operation, mode, ...note, ...more });

/** Mode, epoch and latch of a route. */
async function look(sql: Sql, operation: Operation) {
  const route = (await readRoutes(sql)).routes.get(operation) ?? untouchedRoute(operation);
  return [describeMode(route.mode), route.epoch, route.latch];
}

/** The recorded changes, the oldest first, without moments and ids. */
async function record(sql: Sql, operation?: Operation) {
  const changes = await listChanges(sql, { operation, limit: 100 });
  const mode = (name: string | null, percent: number | null) =>
    name === null ? "any" : percent === null ? name : `${name} ${percent}`;
  return changes.reverse().map((change) =>
    [
      change.what,
      change.operation ?? "all",
      `${mode(change.from_mode, change.from_percent)}>${mode(change.to_mode, change.to_percent)}`,
      change.from_sample === null ? "" : `${change.from_sample}>${change.to_sample}`,
      change.epoch,
      change.automatic ? `${change.who}!` : change.who,
      change.why,
    ].filter((part) => part !== "" && part !== null).join(" ")
  );
}

/** Rolls back by hand; the operations that are held now, with a `!` where they moved. */
const byHand = async (sql: Sql, operations: readonly Operation[]) =>
  (await rollBackByHand(sql, operations, note))
    .map(({ operation, moved }) => moved ? `${operation}!` : operation);

const refusedWith = (reason: RegExp) => (error: unknown) => {
  ok(error instanceof RouteRefusedError);
  match(error.message, reason);
  return true;
};

for (const major of [15, 17] as const) {
  Deno.test(`routes are set, rolled back, cleared, and each change is recorded (PostgreSQL ${major})`, async () => {
    await using database = await freshDatabase({ major });
    const { sql } = database;
    deepStrictEqual((await readRoutes(sql)).killed, undefined);
    deepStrictEqual(await look(sql, "login"), ["legacy", 0, undefined]);

    const { route, changed } = await set(sql, "login", shadow);
    deepStrictEqual([route.mode, route.epoch, changed], [shadow, 1, true]);
    strictEqual((await set(sql, "login", shadow)).changed, false);
    await set(sql, "login", canary(10), { samplePercent: 20, expectedEpoch: 1 });
    strictEqual((await set(sql, "login", canary(10), { samplePercent: 20 })).changed, false);
    await set(sql, "login", canary(50));
    strictEqual(
      (await setMode(sql, { operation: "login", samplePercent: 5, ...note })).changed,
      true,
    );
    strictEqual(
      (await setMode(sql, { operation: "login", samplePercent: 5, ...note })).changed,
      false,
    );
    await set(sql, "login", canary(50), { samplePercent: 6 });

    const evidence = { operation: "login", why: "2 of 90 differ" } as const;
    strictEqual(await rollBack(sql, { ...evidence, epoch: 2 }), false);
    deepStrictEqual(await look(sql, "login"), ["canary 50 %", 3, undefined]);
    strictEqual(await rollBack(sql, { ...evidence, epoch: 3 }), true);
    strictEqual(await rollBack(sql, { ...evidence, epoch: 3 }), false);
    strictEqual(await rollBack(sql, { ...evidence, epoch: 4 }), false, "it is on legacy");
    deepStrictEqual(await look(sql, "login"), ["legacy", 4, "2 of 90 differ"]);
    await rejects(set(sql, "login", shadow), refusedWith(/is held until/));
    strictEqual((await set(sql, "login", legacy)).changed, false);
    await setMode(sql, { operation: "login", samplePercent: 7, ...note });
    deepStrictEqual(await look(sql, "login"), ["legacy", 4, "2 of 90 differ"]);

    strictEqual(await clearLatch(sql, { operation: "login", ...note }), true);
    strictEqual(await clearLatch(sql, { operation: "login", ...note }), false);
    await set(sql, "login", service);
    deepStrictEqual(await look(sql, "login"), ["service", 5, undefined]);
    await setMode(sql, { operation: "getHealth", samplePercent: 1, ...note });
    deepStrictEqual(await record(sql, "login"), [
      "set login legacy>shadow 1 ana a try",
      "set login shadow>canary 10 100>20 2 ana a try",
      "set login canary 10>canary 50 3 ana a try",
      "sample login canary 50>canary 50 20>5 3 ana a try",
      "sample login canary 50>canary 50 5>6 3 ana a try",
      "rollback login canary 50>legacy 4 gateway! 2 of 90 differ",
      "sample login legacy>legacy 6>7 4 ana a try",
      "clear login legacy>legacy 4 ana a try",
      "set login legacy>service 5 ana a try",
    ]);
    deepStrictEqual(await record(sql, "getHealth"), [
      "sample getHealth legacy>legacy 100>1 1 ana a try",
    ]);
    await rejects(set(sql, "createAudit", shadow), refusedWith(/not in the old API/));
    await set(sql, "createAudit", legacy);
    await set(sql, "createAudit", service);
  });

  Deno.test(`the kill switch overrides every mode, and a release starts new epochs (PostgreSQL ${major})`, async () => {
    await using database = await freshDatabase({ major });
    const { sql } = database;
    await set(sql, "login", canary(10));
    await set(sql, "createLot", service);
    strictEqual(await kill(sql, { who: "bo", why: "smoke" }), true);
    strictEqual(await kill(sql, note), false);
    deepStrictEqual((await readRoutes(sql)).killed, { who: "bo", why: "smoke" });
    await rejects(set(sql, "getHealth", shadow), refusedWith(/kill switch is on/));
    await rejects(set(sql, "login", canary(20)), refusedWith(/kill switch is on/));

    // A route that should stay there is set before the release.
    await set(sql, "createLot", legacy);
    await setMode(sql, { operation: "login", samplePercent: 9, ...note });
    strictEqual(await rollBack(sql, { operation: "login", epoch: 2, why: "x" }), false);
    deepStrictEqual(await look(sql, "login"), ["canary 10 %", 1, undefined]);
    strictEqual(await release(sql, note), true);
    strictEqual(await release(sql, note), false);
    strictEqual((await readRoutes(sql)).killed, undefined);
    deepStrictEqual(await look(sql, "login"), ["canary 10 %", 2, undefined]);
    deepStrictEqual(await look(sql, "createLot"), ["legacy", 2, undefined]);
    deepStrictEqual(await record(sql), [
      "set login legacy>canary 10 1 ana a try",
      "set createLot legacy>service 1 ana a try",
      "kill all any>any bo smoke",
      "kill createLot service>legacy 1 bo smoke",
      "kill login canary 10>legacy 1 bo smoke",
      "set createLot service>legacy 2 ana a try",
      "sample login canary 10>canary 10 100>9 1 ana a try",
      "release all any>any ana a try",
      "release login legacy>canary 10 2 ana a try",
    ]);
    deepStrictEqual(
      (await record(sql, "createLot"))[1],
      "kill createLot service>legacy 1 bo smoke",
    );

    await sql`delete from lotline.kill_switch`;
    ok((await readRoutes(sql)).killed !== undefined);
    await rejects(set(sql, "getHealth", shadow), refusedWith(/kill switch is on/));
    strictEqual(await release(sql, note), true, "it puts the row back");
    strictEqual((await readRoutes(sql)).killed, undefined);
  });

  Deno.test(`the schema forbids what the rules forbid (PostgreSQL ${major})`, async () => {
    await using database = await freshDatabase({ major });
    const { sql } = database;
    const columns = "(operation, mode, canary_percent, epoch, sample_percent, latch)";
    const rows = [
      "('login', 'canary', null, 1, 100, null)",
      "('login', 'canary', 0, 1, 100, null)",
      "('login', 'canary', 100, 1, 100, null)",
      "('login', 'shadow', 10, 1, 100, null)",
      "('login', 'mirror', null, 1, 100, null)",
      "('login', 'shadow', null, 0, 100, null)",
      "('login', 'shadow', null, 1, 101, null)",
      "('login', 'shadow', null, 1, -1, null)",
      "('login', 'shadow', null, 1, 100, 'wrong')",
      "('login', 'legacy', null, 1, 100, ' ')",
      "('createAudit', 'shadow', null, 1, 100, null)",
      "('createAudit', 'canary', 10, 1, 100, null)",
      "('no op', 'legacy', null, 1, 100, null)",
    ];
    for (const row of rows) {
      const insert = sql.unsafe(`insert into lotline.routes ${columns} values ${row}`);
      await rejects(insert, { code: "23514" }, row);
    }
    const others = [
      ["23514", "insert into lotline.kill_switch values (false, true, 'ana', 'x')"],
      ["23505", "insert into lotline.kill_switch values (true, true, 'ana', 'x')"],
      ["23514", "update lotline.kill_switch set why = ' '"],
    ] as const;
    for (const [code, statement] of others) {
      await rejects(sql.unsafe(statement), { code }, statement);
    }
    const nobody = { who: " ", why: "x" };
    await rejects(setMode(sql, { operation: "login", mode: shadow, ...nobody }), { code: "23514" });
    deepStrictEqual(
      await look(sql, "login"),
      ["legacy", 0, undefined],
      "no change without a record",
    );
    deepStrictEqual(await record(sql), []);
  });
}

Deno.test("of concurrent changes one is made and the others get a conflict, from the first change on", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  for (let round = 1; round <= 6; round++) {
    // All of them have read the same epoch before the first one writes.
    await using locked = await openTransaction(
      sql,
      round === 1
        ? "lock table lotline.route_changes in exclusive mode"
        : "select from lotline.routes for update",
    );
    const outcomes = [1, 2].map((n) =>
      set(sql, "login", canary(round * 10 + n)).then(() => "made", (error) => error.message)
    );
    await waiting(sql, 2);
    await locked.commit();
    const [refusal, made] = (await Promise.all(outcomes)).sort();
    match(refusal, /^login was changed by somebody else meanwhile/);
    strictEqual(made, "made");
    strictEqual((await look(sql, "login"))[1], round);
  }
  strictEqual((await record(sql)).length, 6);
});

Deno.test("a change that was decided before a kill is refused after it", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await using killing = await openTransaction(sql, "update lotline.kill_switch set killed = true");
  const change = set(sql, "login", service).then(() => "made", (error) => error.message);
  await waiting(sql, 1);
  await killing.commit();
  match(await change, /^The kill switch is on/);
  deepStrictEqual(await record(sql), []);
});

Deno.test("a rollback after a faster change moves nothing; a manual one moves any route", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await set(sql, "login", canary(10));
  const next = "update lotline.routes set canary_percent = 50, epoch = epoch + 1";
  {
    await using changing = await openTransaction(sql, next);
    const rolledBack = rollBack(sql, { operation: "login", epoch: 1, why: "old evidence" });
    await waiting(sql, 1);
    await changing.commit();
    strictEqual(await rolledBack, false);
  }
  {
    await using changing = await openTransaction(sql, next);
    const returned = byHand(sql, ["login", "getHealth"]);
    await waiting(sql, 1);
    await changing.commit();
    deepStrictEqual(await returned, ["getHealth", "login!"]);
  }
  deepStrictEqual(await look(sql, "login"), ["legacy", 4, "ana: a try"]);
  deepStrictEqual((await record(sql)).at(-1), "rollback login canary 50>legacy 4 ana a try");
  deepStrictEqual((await byHand(sql, LEGACY_OPERATIONS)).length, 3, "the others");
  deepStrictEqual(await byHand(sql, LEGACY_OPERATIONS), []);
});

Deno.test("a rollback by hand holds a route from any mode until it is cleared", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await set(sql, "createLot", shadow);
  await set(sql, "login", canary(10));
  await set(sql, "login", legacy);
  deepStrictEqual(await byHand(sql, ["login", "createLot", "getHealth"]), [
    "createLot!",
    "getHealth",
    "login",
  ]);
  deepStrictEqual(await look(sql, "createLot"), ["legacy", 2, "ana: a try"]);
  deepStrictEqual(await look(sql, "login"), ["legacy", 2, "ana: a try"]);
  deepStrictEqual(await look(sql, "getHealth"), ["legacy", 1, "ana: a try"]);
  for (const operation of ["login", "createLot", "getHealth"] as const) {
    await rejects(
      set(sql, operation, shadow),
      refusedWith(/is held until somebody clears it: ana/),
    );
    strictEqual(await clearLatch(sql, { operation, ...note }), true);
    await set(sql, operation, shadow);
  }
  deepStrictEqual((await record(sql, "getHealth")).slice(0, 2), [
    "rollback getHealth legacy>legacy 1 ana a try",
    "clear getHealth legacy>legacy 1 ana a try",
  ]);
});

Deno.test("a rollback by hand keeps the reason of an automatic one", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const { route } = await set(sql, "login", shadow);
  await rollBack(sql, { operation: "login", epoch: route.epoch, why: "2 of 90 differ" });
  deepStrictEqual(await byHand(sql, ["login"]), []);
  deepStrictEqual(await look(sql, "login"), ["legacy", 2, "2 of 90 differ"]);
});

Deno.test("a move that was decided before a rollback by hand is refused after it", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await set(sql, "login", shadow);
  await set(sql, "login", legacy);
  await using locked = await openTransaction(
    sql,
    "update lotline.routes set latch = 'ana: a try' where operation = 'login'",
  );
  const change = set(sql, "login", service).then(() => "made", (error) => error.message);
  await waiting(sql, 1);
  await locked.commit();
  match(await change, /is held until somebody clears it: ana: a try/);
});

Deno.test("an operation that only Lotline has is on service until a mode is set, which is kept", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const operation = "createAudit";
  deepStrictEqual(await look(sql, operation), ["service", 0, undefined]);
  strictEqual((await set(sql, operation, service)).changed, false);
  deepStrictEqual(await byHand(sql, [operation, "login"]), [`${operation}!`, "login"]);
  deepStrictEqual(await look(sql, operation), ["legacy", 1, "ana: a try"]);
  deepStrictEqual(await byHand(sql, [operation]), []);
  await clearLatch(sql, { operation, ...note });
  await set(sql, operation, service);
  deepStrictEqual(await byHand(sql, [operation]), [`${operation}!`]);
  deepStrictEqual(await look(sql, operation), ["legacy", 3, "ana: a try"]);
  deepStrictEqual(await record(sql, operation), [
    `rollback ${operation} service>legacy 1 ana a try`,
    `clear ${operation} legacy>legacy 1 ana a try`,
    `set ${operation} legacy>service 2 ana a try`,
    `rollback ${operation} service>legacy 3 ana a try`,
  ]);
  deepStrictEqual(await look(sql, "listAudits"), ["service", 0, undefined]);
});

Deno.test("a route that is set for the first time while it is rolled back ends on legacy", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const first = `insert into lotline.routes (operation, mode, epoch, sample_percent)
    values ('createAudit', 'service', 1, 100)`;
  await using setting = await openTransaction(sql, first);
  const returned = byHand(sql, ["createAudit"]);
  await waiting(sql, 1);
  await setting.commit();
  deepStrictEqual(await returned, ["createAudit!"]);
  deepStrictEqual(await look(sql, "createAudit"), ["legacy", 2, "ana: a try"]);
});

Deno.test("a reason of any length and content rolls back", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  for (const why of ["", "\0", "😀".repeat(2_000)]) {
    const { route } = await set(sql, "login", canary(10));
    strictEqual(await rollBack(sql, { operation: "login", epoch: route.epoch, why }), true);
    await clearLatch(sql, { operation: "login", ...note });
  }
});

Deno.test("an unreadable row is not set, but rolled back", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await set(sql, "login", canary(10));
  await sql`alter table lotline.routes drop constraint routes_mode_check,
    drop constraint routes_canary_has_percent`;
  await sql`update lotline.routes set mode = 'mirror'`;
  await rejects(set(sql, "login", shadow), refusedWith(/can't be read/));
  deepStrictEqual(await byHand(sql, ["login"]), ["login!"]);
  await clearLatch(sql, { operation: "login", ...note });
  await set(sql, "login", shadow);
  deepStrictEqual(await look(sql, "login"), ["shadow", 3, undefined]);
});

Deno.test("changes are read page by page, the newest first", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  for (let percent = 1; percent <= 5; percent++) await set(sql, "login", canary(percent));
  await set(sql, "getHealth", shadow);
  const seen: (number | null)[] = [];
  let before: string | undefined;
  for (let pages = 0; pages < 10; pages++) {
    const page = await listChanges(sql, { operation: "login", before, limit: 2 });
    if (page.length === 0) break;
    seen.push(...page.map(({ to_percent }) => to_percent));
    before = page.at(-1)?.id;
  }
  deepStrictEqual(seen, [5, 4, 3, 2, 1]);
});

/** Waits until this many statements of this database wait for a lock. */
async function waiting(sql: Sql, count: number): Promise<void> {
  await eventually(`${count} wait for a lock`, async () => await lockWaits(sql) === count);
}
