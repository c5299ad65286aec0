import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../../testing/database.ts";
import { eventually } from "../../testing/eventually.ts";
import { openTransaction } from "../../testing/open_transaction.ts";
import { lockWaits } from "../../testing/lock_waits.ts";
import { delay } from "../../timing.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { clearLatch, readRoutes, rollBackByHand, setMode } from "../routes/routes_table.ts";
import { RouteRefusedError } from "../routes/routing.ts";
import { clearHistory, givenHealth, givenRoute } from "../testing/route_history.ts";
import { parseSteps, PLAN_ORDER, type PlanOptions } from "./plan.ts";
import { startPlanRunner } from "./plan_runner.ts";
import { claimPlans, endPlan, findPlan, insertPlan, renewPlan, stopPlans } from "./plans_table.ts";

const database = await freshDatabase();
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());
const { sql } = database;

const NOTE = { who: "tester", why: "a test" };
const OPTIONS: PlanOptions = {
  steps: parseSteps("shadow,10,100") ?? [],
  soakMs: 0,
  samples: 250,
  patienceMs: 60_000,
};
const detached = (operations: readonly LegacyOperation[], options: Partial<PlanOptions> = {}) =>
  insertPlan(sql, { operations, options: { ...OPTIONS, ...options }, note: NOTE });

/** A gateway's runner, with its log. */
function runner() {
  const logged: string[] = [];
  const log = (level: string, event: string) => void logged.push(`${level} ${event}`);
  return { ...startPlanRunner({ sql, log, onMoved: () => {} }), logged };
}

const modeOf = async (operation: LegacyOperation) =>
  (await readRoutes(sql)).routes.get(operation)?.mode.name;

/** Stores the evidence for a pass in the present epoch of a route. */
async function givenPass(operation: LegacyOperation) {
  const route = (await readRoutes(sql)).routes.get(operation);
  ok(route !== undefined);
  await givenHealth(sql, { operation, epoch: route.epoch });
}

const endOf = async (id: string) => {
  const plan = await findPlan(sql, id);
  return plan === undefined ? [] : [plan.outcome, plan.end_why, plan.remedy];
};

const changesOf = async (operation: LegacyOperation) =>
  (await sql<{ to_mode: string }[]>`
    select to_mode from lotline.route_changes where operation = ${operation} order by id`)
    .map(({ to_mode }) => to_mode);

Deno.test("a gateway carries out a plan, another goes on after it, and each step is made once", async () => {
  await clearHistory(sql);
  const id = await detached(["login"]);
  {
    await using first = runner();
    await eventually("it is in shadow", async () => await modeOf("login") === "shadow");
    await eventually("it is logged", () => first.logged.includes("info plan_moved_route"));
    strictEqual(first.logged[0], "info plan_taken");
  }
  await using _second = runner();
  await using _third = runner();
  for (const next of ["canary", "service"]) {
    await givenPass("login");
    await eventually(`it is on ${next}`, async () => await modeOf("login") === next);
  }
  await givenPass("login");
  await eventually("it is done", async () => (await endOf(id))[0] === "done");
  deepStrictEqual(await changesOf("login"), ["shadow", "canary", "service"]);
});

Deno.test("a process that has died keeps its plan until its lease ends", async () => {
  await clearHistory(sql);
  const id = await detached(["login"]);
  const dead = crypto.randomUUID();
  strictEqual((await claimPlans(sql, dead)).length, 1);
  const other = crypto.randomUUID();
  strictEqual((await claimPlans(sql, other)).length, 0);
  await sql`update lotline.plans set lease_until = now() - interval '1 second'`;
  strictEqual((await claimPlans(sql, other))[0]?.id, id);

  // It comes back without having noticed.
  const change = { operation: "login", mode: { name: "shadow" }, ...NOTE } as const;
  await rejects(setMode(sql, { ...change, plan: { id, holder: dead } }), RouteRefusedError);
  strictEqual(await endPlan(sql, { id, holder: dead }, { outcome: "stopped", why: "x" }), false);
  strictEqual(await modeOf("login"), "legacy");
  await setMode(sql, { ...change, plan: { id, holder: other } });
  const [plan] = await claimPlans(sql, other);
  strictEqual(plan?.epoch, 1, "the step is noted with it");
  await stopPlans(sql, ["login"], NOTE);
});

Deno.test("a step that is decided while the plan is stopped is not made", async () => {
  await clearHistory(sql);
  const id = await detached(["login"]);
  const holder = crypto.randomUUID();
  await claimPlans(sql, holder);
  await using stopping = await openTransaction(
    sql,
    `update lotline.plans set ended_at = now(), outcome = 'stopped' where id = ${id}`,
  );
  const step = setMode(sql, {
    operation: "login",
    mode: { name: "shadow" },
    ...NOTE,
    plan: { id, holder },
    // On a busy machine its wait for the lock may end first.
  }).then(() => "made", () => "refused");
  await eventually("it waits", async () => await lockWaits(sql) >= 1);
  await stopping.commit();
  strictEqual(await step, "refused");
  strictEqual(await modeOf("login"), "legacy");
  deepStrictEqual(await changesOf("login"), []);
});

Deno.test("a plan stops for good at a rollback by hand, a change by others and --stop, and says why", async () => {
  await clearHistory(sql);
  await using gateway = runner();
  const ends: [operation: LegacyOperation, act: () => Promise<unknown>, end: unknown[]][] = [
    [
      "login",
      () => rollBackByHand(sql, ["login"], NOTE),
      ["stopped", "it was rolled back: tester: a test", "clear"],
    ],
    [
      "getHealth",
      () => givenRoute(sql, "getHealth", { name: "service" }),
      ["stopped", "someone else has set it to service", null],
    ],
    [
      "createLot",
      () => stopPlans(sql, ["createLot"], NOTE),
      ["stopped", "stopped by tester: a test", null],
    ],
  ];
  const ids = await Promise.all(ends.map(([operation]) => detached([operation])));
  for (const [at, [operation, act, end]] of ends.entries()) {
    const id = ids[at] ?? "";
    await eventually("it is in shadow", async () => await modeOf(operation) === "shadow");
    await eventually(
      "it has looked",
      async () => (await findPlan(sql, id))?.progress?.includes("waits") === true,
    );
    await act();
    await eventually("it has ended", async () => (await endOf(id))[0] !== null);
    deepStrictEqual(await endOf(id), end);
  }
  await clearLatch(sql, { operation: "login", ...NOTE });
  const stops = () => gateway.logged.filter((line) => line === "warn plan_stopped").length;
  await eventually("both stops are logged", () => stops() === 2);
  await delay(50);
  strictEqual(await modeOf("login"), "legacy");
});

Deno.test("a running plan keeps others from its routes, unless its terminal is gone", async () => {
  await clearHistory(sql);
  const holder = crypto.randomUUID();
  const attached = { operations: ["login"], options: OPTIONS, note: NOTE, holder } as const;
  const id = await insertPlan(sql, attached);
  for (const operations of [["login"], PLAN_ORDER] as const) {
    await rejects(detached(operations), (error: Error) => {
      match(
        error.message,
        new RegExp(`^Plan ${id} of tester moves login already\\. Stop it first`),
      );
      return error instanceof RouteRefusedError;
    });
  }
  await stopPlans(sql, [...PLAN_ORDER], NOTE);
  strictEqual(await renewPlan(sql, { id, holder }), undefined);

  const lost = await insertPlan(sql, attached);
  await sql`update lotline.plans set lease_until = now() - interval '1 second'`;
  strictEqual((await claimPlans(sql, crypto.randomUUID())).length, 0, "no gateway takes it");
  const next = await detached(["login"]);
  deepStrictEqual(await endOf(lost), ["stopped", "its terminal was closed or killed", null]);
  await stopPlans(sql, ["login"], NOTE);
  ok(next !== lost);
});
