import { Gauge, Registry } from "prom-client";
import type { MetricsSource } from "../../telemetry/metrics_server.ts";
import { type Operation, OPERATIONS } from "../exchange/operations.ts";
import type { Route, Upstream } from "../exchange/route.ts";

/** What the gateway's server works on now. */
export interface GatewayLoad {
  readonly requests: number;
  /** Of clients. */
  readonly connections: number;
  readonly upstreams: Readonly<Record<Upstream, UpstreamLoad>>;
}

/** Connections to an upstream, and requests that wait for one. */
export interface UpstreamLoad {
  /** With those that are being opened. */
  readonly inUse: number;
  readonly idle: number;
  readonly waiting: number;
}

interface GatewayState {
  readonly load: () => GatewayLoad;
  /** Exchanges that wait for their comparison or are being compared, and their memory. */
  readonly comparing: () => { readonly exchanges: number; readonly bytes: number };
  /** For how long evidence has been waiting to be stored, in ms. */
  readonly evidenceLagMs: () => number;
  readonly routes: () => {
    readonly source: "starting" | "database" | "away";
    /** Whether all routes are on `legacy`, by the kill switch or by this process. */
    readonly isKilled: boolean;
  };
  readonly routeOf: (operation: Operation) => Route;
}

const SIDES: readonly Upstream[] = ["legacy", "service"];
const SOURCES = ["database", "starting", "away"] as const;

/** What this gateway process does now, read when the metrics are read. */
export function stateMetrics(state: GatewayState): MetricsSource {
  const registry = new Registry();
  const gauge = <Label extends string>(
    name: string,
    help: string,
    labelNames: Label[],
    read: (gauge: Gauge<Label>) => void,
  ) =>
    new Gauge({
      name: `lotline_gateway_${name}`,
      help,
      labelNames,
      registers: [registry],
      collect() {
        read(this);
      },
    });
  gauge("requests_in_flight", "Requests of clients that aren't over.", [], (of) => {
    of.set(state.load().requests);
  });
  gauge("connections", "Open connections of clients.", [], (of) => {
    of.set(state.load().connections);
  });
  gauge(
    "upstream_connections",
    "Connections for clients' requests to an upstream, in use (also being opened) or idle.",
    ["side", "state"],
    (of) => {
      for (const side of SIDES) {
        const { inUse, idle } = state.load().upstreams[side];
        of.set({ side, state: "in_use" }, inUse);
        of.set({ side, state: "idle" }, idle);
      }
    },
  );
  gauge(
    "upstream_waiting",
    "Requests of clients that wait for a connection to an upstream.",
    ["side"],
    (of) => {
      for (const side of SIDES) of.set({ side }, state.load().upstreams[side].waiting);
    },
  );
  gauge(
    "comparing",
    "Exchanges that wait for their comparison or are being compared; 1,000 at most.",
    [],
    (of) => of.set(state.comparing().exchanges),
  );
  gauge("comparing_bytes", "Memory of the exchanges that wait or are being compared.", [], (of) => {
    of.set(state.comparing().bytes);
  });
  gauge(
    "evidence_lag_seconds",
    "For how long evidence has been waiting to be stored in PostgreSQL; 0: none waits.",
    [],
    (of) => of.set(state.evidenceLagMs() / 1_000),
  );
  gauge(
    "routes_source",
    "1 for where routes come from: PostgreSQL, or legacy at the start and while it is away.",
    ["source"],
    (of) => {
      for (const source of SOURCES) {
        of.set({ source }, state.routes().source === source ? 1 : 0);
      }
    },
  );
  gauge("kill_switch", "1 while the kill switch keeps all routes on legacy.", [], (of) => {
    of.set(state.routes().isKilled ? 1 : 0);
  });
  gauge(
    "route_latched",
    "1 while a route may not leave legacy: it was rolled back and nobody has cleared it.",
    ["operation"],
    (of) => {
      for (const { operation } of OPERATIONS) {
        of.set({ operation }, state.routeOf(operation).latch === undefined ? 0 : 1);
      }
    },
  );
  return { name: "gateway_state", text: () => registry.metrics() };
}
