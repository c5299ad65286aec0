import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { createServer } from "node:http";
import { z } from "zod";
import type { Environment } from "../../config.ts";
import { startLegacy } from "../legacy/server.ts";
import { freshDatabase } from "../../testing/database.ts";
import { eventually, withDeadline } from "../../testing/eventually.ts";
import {
  givenClients,
  givenCoverage,
  givenHealth,
  givenOutcomes,
  givenResponses,
  givenRoute,
} from "../testing/route_history.ts";
import type { Mode } from "../exchange/route.ts";
import { readThresholds } from "../rollout/thresholds.ts";
import { kill as killRoutes, readRoutes, rollBack } from "../routes/routes_table.ts";
import { listCases } from "../rollout/verdict_cases.ts";
import { calibrate } from "./calibrate.ts";
import { readCommand, RefusedError, type Typed, UsageError } from "../../command_line.ts";
import type { Command } from "./command.ts";
import { clear, kill, release, rollback, set } from "./changes.ts";
import { plan, stopPlan } from "./plan.ts";
import { probe } from "./probe.ts";
import { status } from "./status.ts";
import { thresholds, verdicts } from "./verdicts.ts";

const database = await freshDatabase();
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());
const { sql } = database;

const BY = { who: "tester", why: "a test" };

/** Runs a command as if typed at a terminal. */
async function typed(
  command: Command,
  words: Typed["words"] = [],
  options: Typed["options"] = {},
  {
    environment = {},
    signal = new AbortController().signal,
    confirm,
    print = () => {},
  }: {
    environment?: Environment;
    signal?: AbortSignal;
    confirm?: (question: string) => boolean;
    print?: (line: string) => void;
  } = {},
) {
  const deps = {
    sql,
    environment: { DATABASE_URL: database.url, ...environment },
    print,
    signal,
    ...confirm && { confirm },
  };
  readCommand({ start: "", commands: { it: command } }, ["it", ...words]);
  return await command.run(deps, { words, options });
}

Deno.test("thresholds are shown and changed by name, and earlier ones stay on record", async () => {
  match((await typed(thresholds)).text, /^limit +value\nwindow_seconds +300\nmin_samples +200\n/);
  await typed(thresholds, ["min_samples=50", "late_percent=0.5"], BY);
  const { min_samples, late_percent, latency_factor } = await readThresholds(sql);
  deepStrictEqual([min_samples, late_percent, latency_factor], [50, 0.5, 2]);
  await givenRoute(sql, "login", { name: "shadow" });
  strictEqual((await listCases(sql))[0]?.thresholds.min_samples, 50, "they count for verdicts");
  const record = await sql`select who, min_samples from lotline.cutover_limits order by id`;
  deepStrictEqual([...record], [
    { who: "migrate", min_samples: 200 },
    { who: "tester", min_samples: 50 },
  ]);
});

Deno.test("invalid thresholds are refused, all of them", async () => {
  const wrong = [
    "min_samples=9",
    "min_samples=10.5",
    "window_seconds=86401",
    "late_percent=101",
    "late_percent=-1",
    "latency_factor=0.5",
    "latency_factor=",
    "latency_factor",
    "constructor=1",
    "who=1",
  ];
  const before = await readThresholds(sql);
  for (const word of wrong) {
    await rejects(typed(thresholds, ["silence_percent=7", word], BY), UsageError, word);
  }
  await rejects(typed(thresholds, ["min_samples=20"], { who: "tester" }), UsageError);
  deepStrictEqual(await readThresholds(sql), before);
});

Deno.test("verdicts are a table, followed by the findings against a route", async () => {
  const epoch = await givenRoute(sql, "getTraceability", { name: "canary", percent: 5 });
  await givenHealth(sql, { operation: "getTraceability", epoch });
  await givenOutcomes(sql, { operation: "getTraceability", epoch, outcome: "different", count: 2 });
  const { text } = await typed(verdicts);
  match(
    text,
    /^getTraceability +canary 5 % +300( +0){3} +2( +0){2} +9\.9\/9\.9 ms +9\.9\/9\.9 ms +fail$/m,
  );
  match(text, /^getTraceability: 2 unapproved differences$/m);
});

Deno.test("a canary that can't work is set with a warning, and status says what it moved", async () => {
  const operation = "createLot";
  const of = async (
    mode: Mode,
  ) => ({ operation, epoch: await givenRoute(sql, operation, mode) } as const);
  const shadow = await of({ name: "shadow" });
  await givenClients(sql, { ...shadow, side: "legacy", requests: 70, buckets: [5_000] });
  const forced = { ...BY, force: true };
  const { text, json } = await typed(set, [operation, "canary", "1"], forced);
  const warning =
    "canary 1 % would move none of 1 client seen; the gateways tell clients apart by CANARY_BY";
  strictEqual(
    text,
    "createLot is on canary 1 %, epoch 2\n  On canary 1 % the writes of the clients that Lotline " +
      `serves are no longer compared.\n  Warning: ${warning}`,
  );
  strictEqual(z.array(z.object({ warning: z.string() })).parse(json)[0]?.warning, warning);
  strictEqual((await typed(set, [operation, "canary", "1"], BY)).text.split("\n").length, 1);

  const canary = { operation, epoch: shadow.epoch + 1 } as const;
  await givenClients(sql, { ...canary, side: "legacy", requests: 30, buckets: [5_000, 7, 8] });
  await givenClients(sql, { ...canary, side: "service", requests: 10, buckets: [7] });
  const said = "Lotline answered 10 of 40 requests (25 %), for 1 of 3 clients (33.3 %)";
  const shown = (await typed(status)).text;
  ok(shown.split("\n").includes(`createLot: since canary 1 %, ${said}`), shown);
  const judged = (await typed(verdicts)).text;
  ok(judged.includes(`\ncreateLot: ${said}\n`), judged);
  ok(judged.includes(`${said}: that is far from canary 1 %`), judged);
  await givenRoute(sql, operation, { name: "legacy" });
});

Deno.test("a step without the verdict pass needs a yes at a terminal; with it there is no question", async () => {
  const operation = "createQcDecision";
  const epoch = await givenRoute(sql, operation, { name: "shadow" });
  const questions: string[] = [];
  const answering = (answer: boolean) => ({
    confirm(question: string) {
      questions.push(question);
      return answer;
    },
  });
  const service = [operation, "service"];
  await rejects(
    typed(set, service, BY, answering(false)),
    /^RefusedError: Nothing was changed$/,
  );
  match(
    questions.join(),
    /^createQcDecision is on shadow without the verdict pass: .*\. On service the writes of .* are no longer compared: .*\nSet it anyway\?$/,
  );
  await rejects(typed(set, service, BY), /^UsageError: [^]*To do it anyway, add --force$/);
  await typed(set, [operation, "canary", "10"], BY, answering(true));
  strictEqual(questions.length, 2);
  // Not a greater share.
  await typed(set, [operation, "canary", "5"], BY);
  await typed(set, [operation, "shadow"], BY);

  await givenHealth(sql, { operation, epoch: epoch + 3 });
  match((await typed(set, service, BY, answering(false))).text, /no longer compared/);
  strictEqual(questions.length, 2);
  await givenRoute(sql, operation, { name: "legacy" });

  const untried = { ...BY, steps: "50,100" };
  await rejects(typed(plan, [operation], untried), /the plan's first step is canary 50 %: nothing/);
  await rejects(typed(plan, [operation], untried, answering(false)), RefusedError);
  const forced = { ...untried, force: true, patience: "0", soak: "0" };
  await rejects(typed(plan, [operation], forced), /The plan has stopped at .*: inconclusive after/);
  strictEqual((await readRoutes(sql)).routes.get(operation)?.mode.name, "canary");
  await givenRoute(sql, operation, { name: "legacy" });
});

Deno.test("a detached plan is shown by status, and rollback, kill and --stop say what becomes of it", async () => {
  const detached = { ...BY, detach: true };
  await givenRoute(sql, "login", { name: "legacy" });
  const { text, json } = await typed(plan, ["login"], detached);
  match(
    text,
    /^Plan \d+ waits for a gateway: none has begun it in 5 seconds\. .* --stop --why TEXT/,
  );
  const { plan: id } = z.object({ plan: z.string() }).parse(json);
  const name = `Plan ${id} \\(login, by tester\\)`;
  match(
    (await typed(status)).text,
    new RegExp(
      `^${name}: waits for a gateway, until \\S+ \\S+ UTC at the earliest\\. It has not begun$`,
      "m",
    ),
  );
  await rejects(
    typed(plan, ["all"], detached),
    new RegExp(`Plan ${id} of tester moves login already`),
  );
  for (
    const [command, words] of [[kill, []], [set, ["login", "shadow"]], [rollback, [
      "login",
    ]]] as const
  ) {
    const { text } = await typed(command, words, BY);
    match(text, new RegExp(`^${name} stops at login\\. Start it again when `, "m"));
    if (command === kill) await typed(release, [], BY);
  }
  await typed(clear, ["login"], BY);
  const stop = () => typed(stopPlan, ["login"], BY);
  match((await stop()).text, new RegExp(`^Plan ${id} \\(login\\) has stopped\\. Its routes stay`));
  await rejects(stop(), /^RefusedError: No plan moves login$/);
  match(
    (await typed(status)).text,
    new RegExp(`^${name} has stopped at login: stopped by tester: a test `, "m"),
  );
});

Deno.test("status and verdicts say why nothing counts, and what to do", async () => {
  const operation = "createQcDecision";
  const epoch = await givenRoute(sql, operation, { name: "canary", percent: 10 });
  const requests = 40;
  await givenResponses(sql, { operation, side: "service", epoch, requests });
  await givenClients(sql, { operation, side: "service", epoch, requests, buckets: [7] });
  const why = "createQcDecision: all requests (40) come from one client, and it is on Lotline's " +
    "side, so that the canary is no step and no write is compared. To do: name the proxy in " +
    "TRUSTED_PROXIES if there is one. Tell clients apart by CANARY_BY, or leave the canary out " +
    "with --steps shadow,100";
  const none = "No gateway has run on this database for over a minute, so that nothing counts.";
  for (const command of [status, verdicts]) {
    const { text } = await typed(command);
    ok(text.split("\n").includes(why), text);
    strictEqual(text.includes(none), command === status, text);
  }
  await sql`insert into lotline.gateway_runs (id, version) values (gen_random_uuid(), '0.1.0')`;
  const shown = await typed(status);
  ok(!shown.text.includes(none), shown.text);
  const form = z.object({
    isGatewayRunning: z.boolean(),
    hindrances: z.record(z.string(), z.array(z.object({ why: z.string(), todo: z.string() }))),
  });
  const { isGatewayRunning, hindrances } = form.parse(shown.json);
  deepStrictEqual([isGatewayRunning, hindrances[operation]?.length], [true, 1]);
  await sql`truncate lotline.gateway_runs`;
  await givenRoute(sql, operation, { name: "legacy" });
});

Deno.test("status and verdicts name the lost share, and why", async () => {
  const operation = "login";
  const epoch = await givenRoute(sql, operation, { name: "shadow" });
  await givenHealth(sql, { operation, epoch });
  await givenOutcomes(sql, { operation, epoch, outcome: "lost", count: 100 });
  for (const [what, count] of [["size", 70], ["queue", 20], ["not_sampled", 5]] as const) {
    await givenCoverage(sql, { operation, epoch, what, count });
  }
  await givenCoverage(sql, { operation, epoch, what: "due", count: 405, minutesAgo: 5 });
  const causes = "size 70, queue 20, unknown 10, no outcome \\(such as a killed gateway\\) 5";
  const shown = await typed(status);
  match(shown.text, new RegExp(`^login +shadow +100 % +26 % \\(${causes}\\) `, "m"));
  const { text } = await typed(verdicts);
  match(text, /^login +shadow +300( +0){5} +105 \(26 %\) .* inconclusive$/m);
  match(text, new RegExp(`^login: lost: ${causes}; not sampled: 5$`, "m"));
  match(text, /^login: 105 of 405 comparisons were lost \(.*\), more than 5 %$/m);
});

Deno.test("an invalid plan is refused before anything is moved", async () => {
  const wrong: [Typed["words"], Typed["options"]][] = [
    [[], {}],
    [["getHealth", "login"], {}],
    [["nothing"], {}],
    [["getHealth"], { steps: "10,1" }],
    [["getHealth"], { soak: "-1" }],
    [["getHealth"], { soak: "1e9" }],
    [["getHealth"], { samples: "0" }],
    [["getHealth"], { patience: "soon" }],
  ];
  for (const [words, options] of wrong) {
    await rejects(typed(plan, words, { ...BY, ...options }), UsageError, JSON.stringify(options));
  }
  await rejects(typed(plan, ["createAudit"], BY), RefusedError);
  match((await typed(plan, ["all"], { dry: true })).text, /^getHealth is on legacy: /);
  const moved = await sql`select from lotline.route_changes where operation = 'getHealth'`;
  strictEqual(moved.count, 0);
});

Deno.test("a plan that is interrupted says so and leaves the route unchanged", async () => {
  await rejects(
    typed(plan, ["getHealth"], BY, { signal: AbortSignal.abort() }),
    /^RefusedError: The plan has stopped at getHealth: interrupted\./,
  );
});

Deno.test("a stopped plan continues after the command that it names", async () => {
  const stops: [name: string, hold: () => Promise<unknown>, remedy: Command, words: string[]][] = [
    [
      "clear createQcDecision",
      async () => {
        const epoch = await givenRoute(sql, "createQcDecision", { name: "shadow" });
        await rollBack(sql, { operation: "createQcDecision", epoch, why: "differs" });
      },
      clear,
      ["createQcDecision"],
    ],
    ["release", () => killRoutes(sql, BY), release, []],
  ];
  for (const [name, hold, remedy, words] of stops) {
    await hold();
    const run = typed(plan, ["createQcDecision"], BY).then(() => "done", (error) => error.message);
    const message = await withDeadline("the plan has stopped", run);
    ok(
      message.endsWith(
        `To go on, run deno task cutover ${name} --why TEXT, then the same command again.`,
      ),
      message,
    );
    await typed(remedy, words, BY);
    const { text } = await typed(plan, ["createQcDecision"], { dry: true });
    match(text, /^ {2}would (go to shadow now|wait)/m);
  }
});

Deno.test("a probe sends health, traces and logins, and changes nothing", async () => {
  await using legacy = await startLegacy({ databaseUrl: database.url, port: 0 });
  await sql`insert into lots (lot_code) values ('A/1'), ('B 2')`;
  const environment = { GATEWAY_URL: legacy.url };
  const lines: string[] = [];
  const { json } = await typed(probe, [], { count: "60", rate: "1000" }, {
    environment,
    print: (line) => lines.push(line),
  });
  deepStrictEqual(lines.slice(0, 2), [
    `Sending 60 requests to ${legacy.url}, 1000 a second, with 2 lots`,
    "1 of 60 requests (1 %)",
  ]);
  deepStrictEqual(json, [
    { operation: "getHealth", answer: "200", times: 20 },
    { operation: "getTraceability", answer: "200", times: 16 },
    { operation: "getTraceability", answer: "404", times: 4 },
    { operation: "login", answer: "401", times: 20 },
  ]);
  const mute = { count: "4", rate: "1000", "no-logins": true };
  ok(!(await typed(probe, [], mute, { environment })).text.includes("login"));
  const named = await typed(probe, [], { count: "6", rate: "1000", lots: "NONE" }, { environment });
  match(named.text, /getTraceability +404 +2/);
  strictEqual((await sql`select from lots`).count, 2);
});

Deno.test("a probe without a gateway says so", async () => {
  await rejects(typed(probe, [], { count: "3" }), /GATEWAY_URL/);
  const environment = { GATEWAY_URL: "http://127.0.0.1:1" };
  await rejects(typed(probe, [], { count: "3" }, { environment }), RefusedError);
});

Deno.test("the old server compared with itself shows no varying field", async () => {
  await using legacy = await startLegacy({ databaseUrl: database.url, port: 0 });
  const environment = { LEGACY_URL: legacy.url };
  const lines: string[] = [];
  const { text } = await typed(calibrate, [], { count: "30" }, {
    environment,
    print: (line) => lines.push(line),
  });
  deepStrictEqual(lines.slice(0, 2), [
    `Sending 30 requests, three times each, to ${legacy.url}`,
    "1 of 30 requests (3 %)",
  ]);
  match(
    text,
    /^30 pairs of responses were compared, 0 requests had no response: nothing varies by itself\.$/m,
  );
});

Deno.test("calibrating names each field that varies by itself", async () => {
  let requested = 0;
  const server = createServer((request, response) => {
    request.resume();
    response.setHeader("content-type", "application/json; charset=utf-8");
    response.end(JSON.stringify({ status: "ok", turn: ++requested }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  ok(address !== null && typeof address !== "string");
  const environment = { LEGACY_URL: `http://127.0.0.1:${address.port}` };
  const { text } = await typed(calibrate, [], { count: "9", lots: "A" }, { environment });
  server.closeAllConnections();
  server.close();
  match(text, /^getHealth +body\.turn +3$/m);
  match(text, /^login +body\.turn +3$/m);
  ok(!text.includes("body.status"), text);
});

Deno.test("Ctrl-C and the end of a terminal end its plan, and the route stays", async () => {
  for (const signal of ["SIGINT", "SIGHUP"] as const) {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "-A", new URL("./cutover_main.ts", import.meta.url).pathname]
        .concat("plan", "createLot", "--why", "a test"),
      env: { DATABASE_URL: database.url, NO_COLOR: "1" },
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const running = async () =>
      (await sql`select from lotline.plans where ended_at is null and progress like '%waits%'`)
        .count === 1;
    await eventually("it waits in shadow", running, { seconds: 60 });
    match(
      (await typed(status)).text,
      /^Plan \d+ \(createLot, by .*\): carried out at a terminal, /m,
    );
    child.kill(signal);
    const { code, stderr } = await child.output();
    strictEqual(code, 1);
    match(new TextDecoder().decode(stderr), /^The plan has stopped at createLot: interrupted/);
    strictEqual((await readRoutes(sql)).routes.get("createLot")?.mode.name, "shadow");
    match((await typed(status)).text, /^Plan .* has stopped at createLot: interrupted /m);
  }
});

Deno.test("a kill and a rollback work where the plans can't be read", async () => {
  await sql`alter table lotline.plans rename to plans_of_later`;
  try {
    match((await typed(kill, [], BY)).text, /^The kill switch is on: within/);
    match((await typed(rollback, ["createLot"], BY)).text, /^createLot is on legacy, and held/);
  } finally {
    await sql`alter table lotline.plans_of_later rename to plans`;
  }
});
