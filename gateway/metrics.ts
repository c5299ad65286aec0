import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Collector, CollectTrouble } from "./collect.ts";
import type { Evidence } from "./evidence.ts";
import type { Modes } from "./modes.ts";
import { OPERATIONS } from "./operations.ts";

/** What this gateway has counted since its start, and what it goes by. */
export interface GatewayMetrics {
  /** Evidence that is counted here on its way to the collector. */
  countedIn(collector: Pick<Collector, "answered" | "found">): Evidence;
  /** Evidence could not be stored or kept. */
  readonly trouble: (trouble: CollectTrouble) => void;
  /** All of it in Prometheus' text format. */
  text(): Promise<string>;
  /** The media type of {@link GatewayMetrics.text}. */
  readonly type: string;
}

/** In seconds, as Prometheus has it: from what a health check takes to what a client gives up at. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30];

/** Counters that start at nothing. */
export function createGatewayMetrics(modes: Pick<Modes, "routeOf">): GatewayMetrics {
  const registry = new Registry();
  const registers = [registry];
  const answers = new Histogram({
    name: "lotline_gateway_answer_seconds",
    help: "Time to the last byte of what a side answered; status none: it gave no answer.",
    labelNames: ["operation", "side", "status"],
    buckets: BUCKETS,
    registers,
  });
  const comparisons = new Counter({
    name: "lotline_gateway_comparisons_total",
    help: "Comparisons of the two sides by what became of them.",
    labelNames: ["operation", "outcome"],
    registers,
  });
  const approvals = new Counter({
    name: "lotline_gateway_approvals_total",
    help: "Differences that were let pass, by the approval that allows them.",
    labelNames: ["operation", "approval"],
    registers,
  });
  const troubles = new Counter({
    name: "lotline_gateway_evidence_trouble_total",
    help: "flush: a batch has to be sent again; dropped: it never can be; difference: not kept.",
    labelNames: ["trouble"],
    registers,
  });
  new Gauge({
    name: "lotline_gateway_service_percent",
    help: "The share of an operation's clients that Lotline answers, from 0 to 100.",
    labelNames: ["operation"],
    registers,
    collect() {
      for (const { operation } of OPERATIONS) {
        const { mode } = modes.routeOf(operation);
        const percent = mode.name === "canary" ? mode.percent : mode.name === "service" ? 100 : 0;
        this.set({ operation }, percent);
      }
    },
  });
  new Gauge({
    name: "lotline_gateway_compared",
    help: "1: an operation's answers are compared; 0: its route is on legacy.",
    labelNames: ["operation"],
    registers,
    collect() {
      for (const { operation } of OPERATIONS) {
        this.set({ operation }, modes.routeOf(operation).mode.name === "legacy" ? 0 : 1);
      }
    },
  });
  return {
    countedIn: (collector) => ({
      answered(operation, route, side, status, ms) {
        const of = status === 0 ? "none" : `${Math.floor(status / 100)}xx`;
        answers.observe({ operation, side, status: of }, ms / 1_000);
        collector.answered(operation, route, side, status, ms);
      },
      found(finding) {
        const { operation, outcome } = finding;
        comparisons.inc({ operation, outcome });
        for (const approval of finding.approvals) approvals.inc({ operation, approval });
        collector.found(finding);
      },
    }),
    trouble: (trouble) => troubles.inc({ trouble }),
    text: () => registry.metrics(),
    type: registry.contentType,
  };
}
