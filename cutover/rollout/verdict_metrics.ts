import { Gauge, Registry } from "prom-client";
import type { Sql } from "../../db/sql.ts";
import type { MetricsSource } from "../../telemetry/metrics_server.ts";
import { withDeadline } from "../../timing.ts";
import { LEGACY_OPERATIONS } from "../exchange/operations.ts";
import { listSeenClients, type SeenClients } from "../routes/route_clients.ts";
import { shareOf } from "./plan.ts";
import { listRunningPlans, operationOf, type StoredPlan } from "./plans_table.ts";
import type { Judgement } from "./verdict.ts";
import { readVerdicts, type RouteVerdict } from "./verdicts.ts";

/** A reading is used for this long, in ms. */
const KEEP_MS = 15_000;
/** And not later than this when the next one takes long. */
const MAX_AGE_MS = 60_000;
/** How long a scrape waits for a reading, in ms; the metrics' server waits for 2 s. */
const WAIT_MS = 1_500;

const VERDICTS: readonly Judgement["verdict"][] = ["pass", "fail", "inconclusive"];

/**
 * The verdicts, the moved share and the running plans of all gateways, as PostgreSQL has them: read when
 * the metrics are read, at most every 15 s. Without PostgreSQL the source fails.
 */
export function verdictMetrics(sql: Sql, keepMs = KEEP_MS): MetricsSource {
  const show = createGauges();
  let last: { readonly at: number; readonly text: string } | undefined;
  let failure: unknown = new Error("the verdicts are being read");
  let reading: Promise<void> | undefined;
  let nextAt = 0;
  const read = async () => {
    const began = performance.now();
    try {
      const { verdicts } = await readVerdicts(sql);
      const plans = await listRunningPlans(sql, LEGACY_OPERATIONS);
      const text = await show(verdicts, await listSeenClients(sql), plans);
      last = { at: began, text };
    } catch (error) {
      [last, failure] = [undefined, error];
    }
    // A long epoch of a busy plant takes long to read.
    nextAt = performance.now() + Math.max(keepMs, 4 * (performance.now() - began));
    reading = undefined;
  };
  return {
    name: "gateway_verdicts",
    async text() {
      if (performance.now() >= nextAt) {
        reading ??= read();
        await withDeadline(reading, WAIT_MS, () => {});
      }
      if (last === undefined || performance.now() - last.at > MAX_AGE_MS) throw failure;
      return last.text;
    },
  };
}

/** Returns a function that shows a reading in Prometheus' text format. */
function createGauges() {
  const registry = new Registry();
  const gauge = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
    new Gauge({ name: `lotline_gateway_${name}`, help, labelNames, registers: [registry] });
  const verdict = gauge(
    "verdict",
    "1 for the present verdict of a route, 0 for the others; of all gateways together.",
    ["operation", "verdict"],
  );
  const share = gauge(
    "real_service_percent",
    "The share of clients in % that got a response of Lotline in the present shadow or canary.",
    ["operation"],
  );
  const requests = gauge(
    "real_service_requests_percent",
    "The share of requests in % that Lotline served in the present shadow or canary.",
    ["operation"],
  );
  const step = gauge(
    "plan_step",
    "The step of its running plan that a route is at, from 1; 0: before the first.",
    ["operation"],
  );
  const steps = gauge("plan_steps", "The steps that the running plan has for a route.", [
    "operation",
  ]);
  const waited = gauge(
    "plan_waited_seconds",
    "For how long a route has been at this step of its running plan.",
    ["operation"],
  );
  return (
    verdicts: readonly RouteVerdict[],
    seen: readonly SeenClients[],
    plans: readonly StoredPlan[],
  ): Promise<string> => {
    registry.resetMetrics();
    for (const { operation, judgement } of verdicts) {
      for (const name of VERDICTS) {
        verdict.set({ operation, verdict: name }, judgement.verdict === name ? 1 : 0);
      }
    }
    for (const { operation, epoch, share: moved } of seen) {
      const route = verdicts.find((one) => one.operation === operation)?.route;
      if (route?.epoch !== epoch || moved.clients === 0) continue;
      share.set({ operation }, moved.movedClients / moved.clients * 100);
      requests.set({ operation }, moved.movedRequests / moved.requests * 100);
    }
    for (const plan of plans) {
      const operation = operationOf(plan);
      const mode = verdicts.find((one) => one.operation === operation)?.route.mode;
      const reached = plan.steps.filter((one) => mode && shareOf(one) <= shareOf(mode)).length;
      step.set({ operation }, reached);
      steps.set({ operation }, plan.steps.length);
      waited.set({ operation }, plan.waitedMs / 1_000);
    }
    return registry.metrics();
  };
}
