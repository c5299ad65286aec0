import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { ClientSet } from "../routes/client_set.ts";
import type { CollectorTrouble } from "./collector.ts";
import type { Departure } from "../exchange/departure.ts";
import type { Evidence } from "./evidence.ts";
import { type Operation, OPERATIONS } from "../exchange/operations.ts";
import type { Mode, Route, Upstream } from "../exchange/route.ts";

/** What this gateway process has counted since its start. */
export interface GatewayMetrics {
  /** Hands everything on to `evidence`, and counts it. */
  watch(evidence: Evidence): Evidence;
  /** Evidence could not be stored or kept. */
  trouble(trouble: CollectorTrouble): void;
  /** This process has put a route back on `legacy`. */
  rolledBack(operation: Operation): void;
  /** A client left before its answer was out; without an operation: of a request that is none. */
  clientLeft(operation: Operation | undefined, departure: Departure): void;
  /** All of it in Prometheus' text format. */
  text(): Promise<string>;
  /** The media type of {@link GatewayMetrics.text}. */
  readonly type: string;
}

/** In seconds; the old server's answers take from 1 ms to some 100 ms. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const MODES: readonly Mode["name"][] = ["legacy", "shadow", "canary", "service"];

/**
 * Counters that start at nothing.
 * @param routeOf how an operation is dealt with at the moment
 */
export function createGatewayMetrics(routeOf: (operation: Operation) => Route): GatewayMetrics {
  const registry = new Registry();
  const registers = [registry];
  const responses = new Counter({
    name: "lotline_gateway_answers_total",
    help: "Requests that a side was asked, for a client or to compare, by what came of them.",
    labelNames: ["operation", "side", "status"],
    registers,
  });
  const seconds = new Histogram({
    name: "lotline_gateway_answer_seconds",
    help: "How long answers of a side took, until their last byte.",
    labelNames: ["operation", "side"],
    buckets: BUCKETS,
    registers,
  });
  const clientRequests = new Counter({
    name: "lotline_gateway_client_requests_total",
    help: "Requests of clients on routes in shadow or canary, by the side that answered.",
    labelNames: ["operation", "side"],
    registers,
  });
  const clients = countClients();
  new Gauge({
    name: "lotline_gateway_clients",
    help: "Clients that a side has answered since the route is in its shadow or canary.",
    labelNames: ["operation", "side"],
    registers,
    collect() {
      this.reset();
      for (const { operation } of OPERATIONS) {
        for (const [upstream, count] of clients.of(operation, routeOf(operation).epoch)) {
          this.set({ operation, side: upstream }, count);
        }
      }
    },
  });
  const comparisons = new Counter({
    name: "lotline_gateway_comparisons_total",
    help: "Comparisons by what became of them; lost: not made, or not to their end.",
    labelNames: ["operation", "outcome"],
    registers,
  });
  const coverage = new Counter({
    name: "lotline_gateway_coverage_total",
    help: "Exchanges by what is known of them besides: due, not_sampled, success, or why a " +
      "comparison was lost or left unanswered.",
    labelNames: ["operation", "what"],
    registers,
  });
  const approvals = new Counter({
    name: "lotline_gateway_approvals_used_total",
    help: "Comparisons that needed an approved difference, by its id.",
    labelNames: ["operation", "approval"],
    registers,
  });
  const troubles = new Counter({
    name: "lotline_gateway_evidence_troubles_total",
    help: "Evidence: flush was tried again, dropped was refused, difference was counted, not kept.",
    labelNames: ["trouble"],
    registers,
  });
  const rollbacks = new Counter({
    name: "lotline_gateway_rollbacks_total",
    help: "Routes that this process has put back on the old server, by itself.",
    labelNames: ["operation"],
    registers,
  });
  const departures = new Counter({
    name: "lotline_gateway_clients_left_total",
    help:
      "Clients that left, or ended their side, before their answer, by what became of the request.",
    labelNames: ["operation", "outcome"],
    registers,
  });
  new Gauge({
    name: "lotline_gateway_route_mode",
    help: "1 for the mode that a route has at the moment.",
    labelNames: ["operation", "mode"],
    registers,
    collect() {
      for (const { operation } of OPERATIONS) {
        const { mode } = routeOf(operation);
        for (const name of MODES) {
          this.set({ operation, mode: name }, mode.name === name ? 1 : 0);
        }
      }
    },
  });
  new Gauge({
    name: "lotline_gateway_route_service_percent",
    help: "Lotline's share of the clients at the moment, in %.",
    labelNames: ["operation"],
    registers,
    collect() {
      for (const { operation } of OPERATIONS) {
        const { mode } = routeOf(operation);
        const whole = mode.name === "service" ? 100 : 0;
        this.set({ operation }, mode.name === "canary" ? mode.percent : whole);
      }
    },
  });
  return {
    watch: (evidence) => ({
      responded(operation, route, upstream, status, ms) {
        responses.inc({ operation, side: upstream, status: statusClass(status) });
        if (status !== 0 && ms >= 0) seconds.observe({ operation, side: upstream }, ms / 1_000);
        evidence.responded(operation, route, upstream, status, ms);
      },
      served(operation, route, upstream, bucket) {
        clientRequests.inc({ operation, side: upstream });
        clients.add(operation, route.epoch, upstream, bucket);
        evidence.served(operation, route, upstream, bucket);
      },
      found(finding) {
        const { operation, outcome, cause } = finding;
        comparisons.inc({ operation, outcome });
        if (cause !== undefined) coverage.inc({ operation, what: cause });
        for (const approval of new Set(finding.approvals)) approvals.inc({ operation, approval });
        evidence.found(finding);
      },
      covered(operation, route, what) {
        coverage.inc({ operation, what });
        evidence.covered(operation, route, what);
      },
    }),
    trouble: (trouble) => troubles.inc({ trouble }),
    rolledBack: (operation) => rollbacks.inc({ operation }),
    clientLeft: (operation, outcome) =>
      departures.inc({ operation: operation ?? "unknown", outcome }),
    text: () => registry.metrics(),
    type: registry.contentType,
  };
}

/** Tells the clients of each operation's newest epoch apart, with two sets an operation at most. */
function countClients() {
  const newest = new Map<Operation, { epoch: number; bySide: Map<Upstream, ClientSet> }>();
  return {
    add(operation: Operation, epoch: number, upstream: Upstream, bucket: number) {
      let seen = newest.get(operation);
      if (seen === undefined || seen.epoch < epoch) {
        newest.set(operation, seen = { epoch, bySide: new Map() });
      }
      // A late request of an epoch that is over.
      if (seen.epoch > epoch) return;
      const set = seen.bySide.get(upstream) ?? new ClientSet();
      seen.bySide.set(upstream, set);
      set.add(bucket);
    },
    of(operation: Operation, epoch: number): (readonly [Upstream, number])[] {
      const seen = newest.get(operation);
      if (seen?.epoch !== epoch) return [];
      return [...seen.bySide].map(([upstream, set]) => [upstream, set.size] as const);
    },
  };
}

/** `2xx` and so on; `none` for no answer. */
function statusClass(status: number): string {
  return status === 0 ? "none" : `${Math.floor(status / 100)}xx`;
}
