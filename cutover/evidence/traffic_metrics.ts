import { Counter, Registry } from "prom-client";
import { createHistogram, type Series } from "../../telemetry/histogram.ts";
import { LEGACY_OPERATIONS, type Operation } from "../exchange/operations.ts";
import type { Evidence } from "./evidence.ts";
import { LOST_CAUSES } from "./coverage.ts";

/**
 * How a client's request ended: with this status; with a connection that the gateway cut; or left by its
 * client before its response was sent.
 */
export type RequestEnd = number | "cut" | "left";

/** Statuses of an operation; further ones count as `other`: an upstream may send any number. */
const MAX_STATUSES = 40;

export type TrafficMetrics = ReturnType<typeof createTrafficMetrics>;

/** What clients see of this process, and what its comparisons lost, since its start. */
export function createTrafficMetrics() {
  const durations = createHistogram({
    name: "lotline_gateway_request_duration_seconds",
    help: "Time from a client's request to the end of its response, by status, or cut or left.",
    labelNames: ["operation", "status"],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  });
  const byOperation = new Map<Operation | undefined, Map<RequestEnd, Series>>();
  const registry = new Registry();
  const lost = new Counter({
    name: "lotline_gateway_lost_total",
    help: "Comparisons that were not made or not finished, by cause.",
    labelNames: ["operation", "cause"],
    registers: [registry],
  });
  // Present from the start, so that the first one shows as an increase.
  for (const operation of LEGACY_OPERATIONS) {
    for (const cause of Object.keys(LOST_CAUSES)) lost.inc({ operation, cause }, 0);
  }
  return {
    /**
     * Counts a request that is over.
     *
     * @param operation undefined: the contract has no such operation, or its head was not read
     */
    ended(operation: Operation | undefined, end: RequestEnd, ms: number): void {
      const known = byOperation.getOrInsertComputed(operation, () => new Map<RequestEnd, Series>());
      let series = known.get(end);
      if (series === undefined) {
        const status = known.size < MAX_STATUSES ? String(end) : "other";
        series = durations.withLabels(operation ?? "unknown", status);
        known.set(end, series);
      }
      series.observe(ms / 1_000);
    },
    /** Counts the comparisons that are lost and passes everything on to `evidence`. */
    watch: (evidence: Evidence): Evidence => ({
      ...evidence,
      found(finding) {
        const { operation, outcome, cause } = finding;
        if (outcome === "lost") lost.inc({ operation, cause: cause ?? "failed" });
        evidence.found(finding);
      },
    }),
    /** In Prometheus' text format. */
    text: async () => `${durations.text()}\n${await registry.metrics()}`,
  };
}
