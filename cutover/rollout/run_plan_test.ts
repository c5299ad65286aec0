import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../../testing/database.ts";
import { eventually } from "../../testing/eventually.ts";
import { delay } from "../../timing.ts";
import {
  clearHistory,
  givenCoverage,
  givenHealth,
  givenOutcomes,
  givenRoute,
} from "../testing/route_history.ts";
import { startAutoRollback } from "./auto_rollback.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { parseSteps, type PlanOptions } from "./plan.ts";
import { describePlan, runPlan } from "./run_plan.ts";
import { kill, readRoutes, release, setMode } from "../routes/routes_table.ts";
import { readVerdicts } from "./verdicts.ts";

const database = await freshDatabase();
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());
const { sql, url } = database;

const NOTE = { who: "tester", why: "a test" };
const OPTIONS: PlanOptions = {
  steps: parseSteps("shadow,10,100") ?? [],
  soakMs: 0,
  samples: 250,
  patienceMs: 60_000,
};

/** Starts a plan, and records its messages. */
function plan(operations: readonly LegacyOperation[], options: Partial<PlanOptions> = {}) {
  const controller = new AbortController();
  const lines: string[] = [];
  const ended = runPlan(
    { sql, print: (line) => lines.push(line), signal: controller.signal, note: NOTE },
    operations,
    { ...OPTIONS, ...options },
  );
  return { ended, lines, interrupt: () => controller.abort() };
}

async function routeOf(operation: LegacyOperation) {
  const route = (await readRoutes(sql)).routes.get(operation);
  ok(route !== undefined);
  return route;
}

/** Stores the evidence for a pass in each epoch of these routes, until disposed of. */
function healthyTraffic(operations: readonly LegacyOperation[]): AsyncDisposable {
  let isOver = false;
  const fed = new Set<string>();
  const running = (async () => {
    while (!isOver) {
      for (const operation of operations) {
        const { mode, epoch } = await routeOf(operation);
        if (mode.name === "legacy" || fed.has(`${operation} ${epoch}`)) continue;
        fed.add(`${operation} ${epoch}`);
        await givenHealth(sql, { operation, epoch });
      }
      await delay(20);
    }
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      isOver = true;
      await running;
    },
  };
}

const stepsOf = async (operation: LegacyOperation) =>
  (await sql<{ to_mode: string }[]>`
    select to_mode from lotline.route_changes where operation = ${operation} order by id`)
    .map(({ to_mode }) => to_mode);

Deno.test("a plan moves operations to Lotline one after the other, under auto_rollback", async () => {
  await clearHistory(sql);
  await using _autoRollback = startAutoRollback({ databaseUrl: url, log: () => {} });
  await using _traffic = healthyTraffic(["getHealth", "createLot"]);
  const { ended, lines } = plan(["getHealth", "createLot"]);
  deepStrictEqual(await ended, { end: "done" }, lines.join("\n"));
  const way = ["shadow", "canary", "service"];
  deepStrictEqual([await stepsOf("getHealth"), await stepsOf("createLot")], [way, way]);
  const done = lines.findIndex((line) =>
    /^getHealth is done: service, 300 samples, pass$/.test(line)
  );
  ok(
    done > 0 && lines.slice(done + 1).every((line) => line.startsWith("createLot")),
    lines.join("\n"),
  );
});

Deno.test("a plan that is started again continues from the route's position", async () => {
  await clearHistory(sql);
  await givenRoute(sql, "login", { name: "canary", percent: 10 });
  await using _traffic = healthyTraffic(["login"]);
  deepStrictEqual(await plan(["login"]).ended, { end: "done" });
  deepStrictEqual(await stepsOf("login"), ["canary", "service"]);
});

Deno.test("without evidence a route stays, and the plan stops after its timeout", async () => {
  await clearHistory(sql);
  const { ended, lines } = plan(["login"], { patienceMs: 500 });
  const end = await ended;
  strictEqual(end.end, "stopped", lines.join("\n"));
  match(end.why, /^inconclusive after .*: 0 of 250 samples; 0 of 200 responses/);
  strictEqual((await routeOf("login")).mode.name, "shadow");
});

Deno.test("with most comparisons lost a plan waits, nothing is rolled back, and it says why", async () => {
  await clearHistory(sql);
  const epoch = await givenRoute(sql, "login", { name: "shadow" });
  await givenHealth(sql, { operation: "login", epoch });
  await givenOutcomes(sql, { operation: "login", epoch, outcome: "lost", count: 10_000 });
  await givenCoverage(sql, { operation: "login", epoch, what: "size", count: 10_000 });
  await using _autoRollback = startAutoRollback({ databaseUrl: url, log: () => {} });
  const { ended, lines } = plan(["login"], { patienceMs: 1_500 });
  const end = await ended;
  strictEqual(end.end, "stopped", lines.join("\n"));
  match(
    end.why,
    /: 10000 of 10300 comparisons were lost \(size 10,000\), more than 5 %; .*To do: raise GATEWAY_BODY_LIMIT/,
  );
  match(
    lines[0] ?? "",
    /^login is on shadow: 300 samples, 10000 of 10300 lost \(size 10,000\), inconclusive/,
  );
  strictEqual((await routeOf("login")).mode.name, "shadow");
});

Deno.test("comparisons lost before the window count for the step as a whole", async () => {
  await clearHistory(sql);
  const epoch = await givenRoute(sql, "login", { name: "shadow" });
  const lost = { operation: "login", epoch, outcome: "lost", count: 100, minutesAgo: 60 } as const;
  await givenOutcomes(sql, lost);
  await givenHealth(sql, { operation: "login", epoch });
  const { ended } = plan(["login"], { patienceMs: 500 });
  const end = await ended;
  strictEqual(end.end, "stopped");
  match(end.why, /: since the last change, 100 of 400 comparisons were lost \(unknown 100\)/);
});

Deno.test("a failing route stops the plan, and later operations stay unchanged", async () => {
  await clearHistory(sql);
  const epoch = await givenRoute(sql, "login", { name: "shadow" });
  await givenHealth(sql, { operation: "login", epoch });
  await givenOutcomes(sql, { operation: "login", epoch, outcome: "different", count: 1 });
  const end = await plan(["login", "createLot"]).ended;
  strictEqual(end.end, "stopped");
  deepStrictEqual([end.operation, end.why], ["login", "1 unapproved difference"]);
  deepStrictEqual(await stepsOf("createLot"), []);
});

Deno.test("a plan stops when another change moves the route, a kill is on, or it is interrupted", async () => {
  await clearHistory(sql);
  const started = async (operation: LegacyOperation) => {
    const running = plan([operation]);
    await eventually(
      "it is in shadow",
      async () => (await routeOf(operation)).mode.name === "shadow",
    );
    return running;
  };
  const [moved, killed, interrupted] = await Promise.all([
    started("getHealth"),
    started("login"),
    started("createLot"),
  ]);
  interrupted.interrupt();
  strictEqual((await interrupted.ended).end, "interrupted");
  strictEqual((await routeOf("createLot")).mode.name, "shadow");
  await setMode(sql, { operation: "getHealth", mode: { name: "service" }, ...NOTE });
  const end = await moved.ended;
  strictEqual(end.end, "stopped");
  match(end.why, /^someone else has set it to service$/);
  await kill(sql, NOTE);
  const last = await killed.ended;
  await release(sql, NOTE);
  strictEqual(last.end, "stopped");
  match(last.why, /^the kill switch is on$/);
});

Deno.test("a dry plan prints its steps and changes nothing", async () => {
  await clearHistory(sql);
  const epoch = await givenRoute(sql, "login", { name: "shadow" });
  await givenHealth(sql, { operation: "login", epoch });
  await givenRoute(sql, "createLot", { name: "shadow" });
  const lines = await describePlan(sql, ["getHealth", "login", "createLot"], OPTIONS);
  match(
    lines.join("\n"),
    /^getHealth is on legacy: .*\n {2}would go to shadow now\nlogin is on shadow: 300 samples, pass\n {2}would go to canary 10 % now\ncreateLot is on shadow: 0 samples, inconclusive .*\n {2}would wait: 0 of 250 samples; .*\noperation +step +begins at the earliest \(UTC\)\ngetHealth +shadow +.*\n[^]*\ncreateLot +done +.*\nThe plan ends at .* UTC at the earliest\. .*\nNothing was changed\.$/,
  );
  deepStrictEqual([await stepsOf("getHealth"), await stepsOf("login")], [[], ["shadow"]]);
});

Deno.test("verdicts show an epoch's comparisons and the pace of both upstreams", async () => {
  await clearHistory(sql);
  const epoch = await givenRoute(sql, "login", { name: "shadow" });
  await givenHealth(sql, { operation: "login", epoch });
  await givenOutcomes(sql, { operation: "login", epoch, outcome: "approved", count: 4 });
  await givenOutcomes(sql, {
    operation: "login",
    epoch,
    outcome: "approved",
    count: 5,
    approval: "a-1",
  });
  await givenOutcomes(sql, {
    operation: "login",
    epoch,
    outcome: "same",
    count: 7,
    minutesAgo: 600,
  });
  await givenOutcomes(sql, { operation: "login", epoch: epoch - 1, outcome: "same", count: 9 });
  const { killed, verdicts } = await readVerdicts(sql);
  strictEqual(killed, false);
  strictEqual(verdicts.length, 5);
  const login = verdicts.find(({ operation }) => operation === "login");
  ok(login !== undefined);
  deepStrictEqual(login.judgement, { verdict: "pass", reasons: [] });
  deepStrictEqual(login.counts.outcomes, { same: 307, approved: 4 });
  deepStrictEqual(login.counts.approvals, { "a-1": 5 });
  deepStrictEqual(login.counts.requests, { legacy: 300, service: 300 });
  for (const upstream of [login.legacy, login.service]) {
    ok(Math.abs((upstream.p50 ?? 0) - 10) < 0.5 && Math.abs((upstream.p99 ?? 0) - 10) < 0.5);
  }
  const health = verdicts.find(({ operation }) => operation === "getHealth");
  deepStrictEqual(health?.judgement.reasons, ["all requests go to the old server"]);
});
