import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { ClientSet } from "../routes/canary.ts";
import type { CollectorTrouble } from "./collector.ts";
import type { Departure } from "../exchange/departure.ts";
import type { Evidence } from "./evidence.ts";
import { type Operation, OPERATIONS } from "../exchange/operations.ts";
import type { Mode, Route, Upstream } from "../exchange/route.ts";

/** In seconds; the old server's responses take from 1 ms to some 100 ms. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const MODES: readonly Mode["name"][] = ["legacy", "shadow", "canary", "service"];

/**
 * The counts of this gateway process since its start.
 * @param routeOf an operation's present route
 */
export function createGatewayMetrics(routeOf: (operation: Operation) => Route) {
  const registry = new Registry();
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
    new Counter({ name, help, labelNames, registers });
  const gauge = <Label extends string>(
    name: string,
    help: string,
    labelNames: Label[],
    read: (gauge: Gauge<Label>, operation: Operation) => void,
  ) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const { operation } of OPERATIONS) read(this, operation);
      },
    });
  const responses = counter(
    "lotline_gateway_answers_total",
    "Requests that a side received, of clients or to compare, by the class of the status.",
    ["operation", "side", "status"],
  );
  const seconds = new Histogram({
    name: "lotline_gateway_answer_seconds",
    help: "Time from a request to the last byte of a side's response.",
    labelNames: ["operation", "side"],
    buckets: BUCKETS,
    registers,
  });
  const clientRequests = counter(
    "lotline_gateway_client_requests_total",
    "Requests of clients on routes in shadow or canary, by the side that responded.",
    ["operation", "side"],
  );
  const clients = countClients();
  gauge(
    "lotline_gateway_clients",
    "Clients that had responses of a side since the route is in its shadow or canary.",
    ["operation", "side"],
    (clientGauge, operation) => {
      for (const [side, count] of clients.of(operation, routeOf(operation).epoch)) {
        clientGauge.set({ operation, side }, count);
      }
    },
  );
  const comparisons = counter(
    "lotline_gateway_comparisons_total",
    "Comparisons by outcome; lost: not made, or not finished.",
    ["operation", "outcome"],
  );
  const coverage = counter(
    "lotline_gateway_coverage_total",
    "Exchanges by coverage: due, not_sampled, success, or why a comparison was lost or unanswered.",
    ["operation", "what"],
  );
  const approvals = counter(
    "lotline_gateway_approvals_used_total",
    "Comparisons that needed an approved difference, by its id.",
    ["operation", "approval"],
  );
  const troubles = counter(
    "lotline_gateway_evidence_troubles_total",
    "Evidence that was sent again (flush), refused (dropped) or not kept (difference).",
    ["trouble"],
  );
  const rollbacks = counter(
    "lotline_gateway_rollbacks_total",
    "Routes that this process has rolled back to the old server by itself.",
    ["operation"],
  );
  const departures = counter(
    "lotline_gateway_clients_left_total",
    "Clients that left, or closed their side, before their response, by outcome.",
    ["operation", "outcome"],
  );
  gauge(
    "lotline_gateway_route_mode",
    "1 for the present mode of a route, 0 for the others.",
    ["operation", "mode"],
    (modeGauge, operation) => {
      const { mode } = routeOf(operation);
      for (const name of MODES) {
        modeGauge.set({ operation, mode: name }, mode.name === name ? 1 : 0);
      }
    },
  );
  gauge(
    "lotline_gateway_route_service_percent",
    "The present share of clients whose requests go to Lotline, in %.",
    ["operation"],
    (shareGauge, operation) => {
      const { mode } = routeOf(operation);
      const whole = mode.name === "service" ? 100 : 0;
      shareGauge.set({ operation }, mode.name === "canary" ? mode.percent : whole);
    },
  );
  return {
    /** Counts everything and passes it on to `evidence`. */
    watch: (evidence: Evidence): Evidence => ({
      responded(operation, route, upstream, status, ms) {
        const statusClass = status === 0 ? "none" : `${Math.floor(status / 100)}xx`;
        responses.inc({ operation, side: upstream, status: statusClass });
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
      unknown: evidence.unknown,
    }),
    trouble: (trouble: CollectorTrouble) => troubles.inc({ trouble }),
    rolledBack: (operation: Operation) => rollbacks.inc({ operation }),
    /** Without an operation: the request matches none. */
    clientLeft: (operation: Operation | undefined, outcome: Departure) =>
      departures.inc({ operation: operation ?? "unknown", outcome }),
    /** In Prometheus' text format. */
    text: () => registry.metrics(),
    type: registry.contentType,
  };
}

/** Counts the clients of each operation's newest epoch, with at most two sets an operation. */
function countClients() {
  const newest = new Map<Operation, { epoch: number; bySide: Map<Upstream, ClientSet> }>();
  return {
    add(operation: Operation, epoch: number, upstream: Upstream, bucket: number) {
      let seen = newest.get(operation);
      if (seen === undefined || seen.epoch < epoch) {
        newest.set(operation, seen = { epoch, bySide: new Map() });
      }
      // A request of an epoch that is over.
      if (seen.epoch > epoch) return;
      seen.bySide.getOrInsertComputed(upstream, () => new ClientSet()).add(bucket);
    },
    of(operation: Operation, epoch: number): (readonly [Upstream, number])[] {
      const seen = newest.get(operation);
      if (seen?.epoch !== epoch) return [];
      return [...seen.bySide].map(([upstream, set]) => [upstream, set.size] as const);
    },
  };
}
