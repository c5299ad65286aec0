import { deepStrictEqual, match, ok, rejects } from "node:assert/strict";
import { CONTENDERS } from "./contenders.ts";
import { goalTable, outcomesOf } from "./goals.ts";
import { type Run, WrongResponsesError } from "./measure.ts";
import { PGBENCH } from "./pgbench.ts";
import { findProgram } from "./program.ts";
import { ratioOf, tableOf } from "./table.ts";
import { type Workload, workloadNamed } from "./workloads.ts";
import { contendersNamed, measureShortly, WRK } from "./short_run.ts";

const ignore = WRK === undefined;

Deno.test({
  name: "a short run makes a table with a row for each contender and a number in each cell",
  ignore,
  async fn() {
    const contenders = contendersNamed("lotline", "lotline-two");
    const workloads = [workloadNamed("lot")];
    const runs = await measureShortly(contenders, workloads);
    deepStrictEqual(
      runs.map(({ workload, contender, round }) => [workload, contender, round]),
      [["lot", "lotline", 1], ["lot", "lotline-two", 1]],
    );
    for (const run of runs) {
      ok(run.requests > 0 && run.residentMb > 0 && run.p50Ms > 0 && run.p50Ms <= run.p99Ms);
      ok(run.serverCpuSeconds > 0 && run.databaseCpuSeconds > 0);
      ok(run.takenByOthers >= 0 && run.takenByOthers < 1);
    }

    const [title, , head, rule, lotline, two, ...rest] = tableOf(runs, workloads, contenders)
      .trimEnd().split("\n");
    match(title ?? "", /^\*\*Create a lot .*\(`lot`\)$/);
    match(head ?? "", /^\| {2}\|( [^|]+ \|){6}$/);
    match(rule ?? "", /^\| --- \|( ---: \|){6}$/);
    match(lotline ?? "", /^\| Lotline \|( [\d,.]+ \|){6}$/);
    const compared = /^\| Lotline, [^|]+ \|( [\d,.]+ · \*\*[\d.]+×\*\* \([\d.]+–[\d.]+\) \|){6}$/;
    match(two ?? "", compared);
    deepStrictEqual(rest, []);
  },
});

Deno.test({
  name: "PostgreSQL alone reads traces, and stores as many lots as it reports",
  ignore: ignore || await findProgram(PGBENCH, console.log) === undefined,
  async fn() {
    const workloads = [workloadNamed("trace"), workloadNamed("lot")];
    const runs = await measureShortly(contendersNamed("pgbench"), workloads);
    deepStrictEqual(runs.map(({ workload }) => workload), ["trace", "lot"]);
    for (const run of runs) ok(run.requests > 0 && run.p50Ms <= run.p99Ms);
  },
});

Deno.test({
  name: "a run with a refused request fails",
  ignore,
  async fn() {
    const health = workloadNamed("health");
    const workload = {
      ...health,
      requests: () => [{ method: "GET", path: "/api/health" }, { method: "GET", path: "/none" }],
    } satisfies Workload;
    const measuring = measureShortly(contendersNamed("lotline"), [workload]);
    await rejects(measuring, (error) => {
      ok(error instanceof WrongResponsesError);
      match(error.message, /of \d+ responses [1-9]\d* had a status of 400 or more/);
      return true;
    });
  },
});

Deno.test({
  name: "a run whose responses are right but store nothing fails",
  ignore,
  async fn() {
    const workload: Workload = { ...workloadNamed("health"), stores: "lots" };
    const measuring = measureShortly(contendersNamed("bare"), [workload]);
    await rejects(measuring, /[1-9]\d* responses had stored nothing/);
  },
});

Deno.test({
  name: "a contender with another success status than the expected one fails",
  ignore,
  async fn() {
    const bare = contendersNamed("bare").map((contender) => ({ ...contender, only: ["lot"] }));
    const measuring = measureShortly(bare, [workloadNamed("lot")]);
    await rejects(measuring, /responded to POST \/api\/lots with 200 and not with 201/);
  },
});

Deno.test("a ratio compares runs of the same round, and shows their spread", () => {
  const own = [round(1, 30), round(2, 40), round(3, 100)];
  const baseline = [round(3, 20), round(2, 20), round(1, 10)];
  deepStrictEqual(ratioOf("requestsPerSecond", own, baseline), { median: 3, min: 2, max: 5 });
});

Deno.test("a ratio to zero doesn't exist", () => {
  const own = [round(1, 5)];
  const baseline = [round(1, 0)];
  deepStrictEqual(ratioOf("requestsPerSecond", own, baseline), undefined);
  deepStrictEqual(ratioOf("requestsPerSecond", own, []), undefined);
});

Deno.test("the median of the rounds meets or misses a goal; a goal without figures is left out", () => {
  const old = [round(1, 10), round(2, 10), round(3, 10)];
  const lotline = [round(1, 50), round(2, 70), round(3, 90)]
    .map((run) => ({ ...run, contender: "lotline", p99Ms: 1.5 }));
  const two = lotline.map((run) => ({ ...run, contender: "lotline-two", requestsPerSecond: 60 }));
  const outcomes = outcomesOf([...old, ...lotline, ...two], CONTENDERS);
  deepStrictEqual(
    outcomes.map(({ contender, goal: { figure, of }, ratio, isMet }) => [
      contender,
      figure,
      of,
      ratio.median,
      isMet,
    ]),
    [
      ["lotline", "requestsPerSecond", "requestsPerSecond", 7, true],
      ["lotline-two", "requestsPerSecond", "requestsPerSecond", 6, false],
      ["lotline", "p99Ms", "p50Ms", 1.5, false],
      ["lotline-two", "p99Ms", "p50Ms", 1.5, false],
    ],
  );
  const [met, , missed] = goalTable(outcomes).split("\n").slice(2);
  match(
    met ?? "",
    /`health`: requests\/s .* \| lotline \| at least 7× \| \*\*7\.00×\*\* .* met \|$/,
  );
  match(missed ?? "", /`health`: p99 to the p50 of old \| lotline \| below 1× \| .* \| MISSED \|$/);
});

function round(round: number, requestsPerSecond: number): Run {
  return {
    workload: "health",
    contender: "old",
    round,
    requests: 1,
    requestsPerSecond,
    p50Ms: 1,
    p99Ms: 1,
    serverCpuSeconds: 1,
    databaseCpuSeconds: 1,
    residentMb: 1,
    takenByOthers: 0,
  };
}
