import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert/strict";
import { bucketOf } from "../routes/canary.ts";
import { verdicts as verdictsCommand } from "../cli/verdicts.ts";
import { parseSteps } from "../rollout/plan.ts";
import { runPlan } from "../rollout/run_plan.ts";
import { readVerdicts } from "../rollout/verdicts.ts";
import { type Cutover, startCutover } from "../testing/cutover.ts";
import { eventually } from "../../testing/eventually.ts";

const REQUESTS = 60;
const LIMITS = { min_samples: 40, latency_slack_ms: 60_000 };
const ROUTE = "getTraceability";

/** An address whose bucket is among the first `percent`, or isn't. */
function addressIn(percent: number, isMoved: boolean): string {
  for (let at = 1;; at++) {
    const address = `10.9.${at >> 8}.${at & 255}`;
    if (bucketOf(undefined, address) < percent * 100 === isMoved) return address;
  }
}

/** Sends {@link REQUESTS} traces, and waits until all are compared and counted. */
async function traceMany(cutover: Cutover, headers: (number: number) => HeadersInit) {
  const [gateway] = cutover.gateways;
  ok(gateway);
  for (let sent = 0; sent < REQUESTS; sent++) {
    const url = `${gateway.url}/api/traceability/MIX-BATCH-88`;
    const response: Response = await fetch(url, { headers: headers(sent) });
    await response.body?.cancel();
    strictEqual(response.status, 200);
  }
  await eventually("all is compared and counted", async () => {
    const { verdicts } = await readVerdicts(cutover.database.sql);
    const now = verdicts.find(({ operation }) => operation === ROUTE);
    return now?.counts.outcomes.same === REQUESTS && now.share?.requests === REQUESTS;
  });
}

/** The output of `deno task cutover verdicts`. */
async function verdictsOf({ database: { sql } }: Cutover): Promise<string> {
  const signal = new AbortController().signal;
  const deps = { sql, environment: {}, print: () => {}, signal };
  return (await verdictsCommand.run(deps, { words: [], options: {} })).text;
}

for (
  const [isMoved, why] of [[false, /nobody was moved/], [true, /everybody was moved/]] as const
) {
  Deno.test(`a canary of 1 % that moved ${isMoved ? "all clients" : "no client"} never passes, and says so`, async () => {
    await using cutover = await startCutover({ limits: LIMITS });
    await cutover.set({ name: "canary", percent: 1 }, [ROUTE]);
    const address = addressIn(1, isMoved);
    await traceMany(cutover, () => ({ "x-forwarded-for": address }));
    const text = await verdictsOf(cutover);
    doesNotMatch(text, /^getTraceability .*pass$/m);
    match(text, why);
  });
}

for (const terminals of [1, 30]) {
  Deno.test(`a plan with ${terminals} terminals behind one address ${terminals > 1 ? "takes its steps" : "waits before the first step, and says why"}`, async () => {
    await using cutover = await startCutover({
      limits: LIMITS,
      gatewayEnvironment: { CANARY_BY: "header X-Terminal" },
    });
    const { sql } = cutover.database;
    await cutover.set({ name: "shadow" }, [ROUTE]);
    const headers = (number: number) => ({ "x-terminal": `scale-${number % terminals}` });
    await traceMany(cutover, headers);
    const plan = async () => {
      const lines: string[] = [];
      const steps = parseSteps("shadow,50,100") ?? [];
      const end = await runPlan(
        {
          sql,
          print: (line) => lines.push(line),
          signal: new AbortController().signal,
          note: { who: "test", why: "a plan" },
        },
        [ROUTE],
        { steps, soakMs: 0, samples: LIMITS.min_samples, patienceMs: 1_500 },
      );
      return { end, lines };
    };
    const { end, lines } = await plan();
    strictEqual(end.end, "stopped", "no request since the step");
    const [row] = await sql`select mode, epoch from lotline.routes where operation = ${ROUTE}`;
    if (terminals === 1) {
      strictEqual(row?.mode, "shadow");
      match(end.why, /canary 50 % would move (all|none) of 1 client seen: .* CANARY_BY/);
      return;
    }
    strictEqual(row?.mode, "canary", lines.join("\n"));
    match(end.why, /no client was seen/);
    await eventually("every gateway uses it", async () => {
      const modes = await Promise.all(cutover.gateways.map((gateway) => gateway.modes()));
      return modes.every((one) => one[ROUTE] === "canary");
    });
    await traceMany(cutover, headers);
    const judged = await verdictsOf(cutover);
    match(judged, /^getTraceability .*pass$/m);
    match(judged, /^getTraceability: Lotline answered \d+ of 60 requests .* of 30 clients/m);
    const again = await plan();
    deepStrictEqual(
      again.lines.filter((line) => /goes to service: \d+ samples, Lotline answered/.test(line))
        .length,
      1,
      again.lines.join("\n"),
    );
  });
}
