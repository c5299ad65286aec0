import { bucketOf, type Histogram } from "../evidence/histogram.ts";
import type { Thresholds } from "../rollout/thresholds.ts";
import { NO_FIGURES, type RouteEvidence, type UpstreamFigures } from "../rollout/verdict.ts";

/** The default thresholds of routes. */
export const THRESHOLDS: Thresholds = {
  window_seconds: 300,
  min_samples: 200,
  error_margin_percent: 1,
  latency_factor: 2,
  latency_slack_ms: 50,
  late_percent: 1,
  silence_percent: 5,
  share_factor: 5,
  lost_percent: 5,
  raced_percent: 20,
  min_successes: 20,
};

/** `requests`, most of them fast, and some that aren't. */
export function figures(
  requests: number,
  { errors = 0, silences = 0, slow = 0, slowMs = 500, ms = 10 } = {},
): UpstreamFigures {
  const latencies: Record<string, number> = { [bucketOf(ms)]: requests - silences - slow };
  if (slow > 0) latencies[bucketOf(slowMs)] = slow;
  return { requests, serverErrors: errors, silences, latencies: latencies as Histogram };
}

/** A canary that passes. */
export const HEALTHY: RouteEvidence = {
  operation: "getTraceability",
  mode: { name: "canary", percent: 10 },
  epoch: 3,
  legacy: figures(1_000),
  service: figures(1_000),
  legacyBefore: NO_FIGURES,
  share: { requests: 1_000, movedRequests: 100, clients: 50, movedClients: 5 },
  outcomes: { same: 900, approved: 50 },
  coverage: { success: 900 },
  different: 0,
  places: [],
};
/** A write in service that passes by the old server's earlier evidence. */
export const WRITE_IN_SERVICE: RouteEvidence = {
  ...HEALTHY,
  operation: "createLot",
  mode: { name: "service" },
  legacy: NO_FIGURES,
  legacyBefore: figures(500),
  outcomes: {},
};
