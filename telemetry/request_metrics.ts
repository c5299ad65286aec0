import { Counter, Gauge, Registry } from "prom-client";
import { ERROR_STATUSES } from "../errors.ts";
import { createHistogram, type Series } from "./histogram.ts";

export type RequestMetrics = ReturnType<typeof createRequestMetrics>;

/** The label for a client that left before its response; no client gets this status. */
export const CLIENT_LEFT = 499;
/** What responses of the API have. */
const STATUSES: ReadonlySet<number> = new Set([
  ...[200, 201, 202, 204, 304],
  ...ERROR_STATUSES,
  CLIENT_LEFT,
]);

const SHED_REASONS = ["traces", "logins", "writes", "work", "in_flight"] as const;

/** Why a request is refused under load: the queue that is too slow, or too many requests at once. */
export type ShedReason = typeof SHED_REASONS[number];

/** Rate, errors and duration of a process's requests. The labels' values are those of fixed lists. */
export function createRequestMetrics() {
  const durations = createHistogram({
    name: "lotline_request_duration_seconds",
    help: "Time from a request's head to its response, by operation and status.",
    labelNames: ["operation", "status"],
  });
  const registry = new Registry();
  let readInFlight = () => 0;
  new Gauge({
    name: "lotline_requests_in_flight",
    help: "Requests that the process works on.",
    registers: [registry],
    collect() {
      this.set(readInFlight());
    },
  });
  const shed = new Counter({
    name: "lotline_requests_shed_total",
    help: "Requests refused under load, by the queue that is too slow or because of their number.",
    labelNames: ["reason"],
    registers: [registry],
  });
  for (const reason of SHED_REASONS) shed.inc({ reason }, 0);
  const known = new Map<string, Map<number, Series>>();
  const seriesOf = (operation: string, status: number): Series => {
    const ofOperation = known.getOrInsertComputed(operation, () => new Map<number, Series>());
    return ofOperation.getOrInsertComputed(
      status,
      () => durations.withLabels(operation, STATUSES.has(status) ? String(status) : "other"),
    );
  };
  return {
    /** @param operation of the contract; undefined: no operation has this path and method */
    responded: (operation: string | undefined, status: number, ms: number) =>
      seriesOf(operation ?? "unknown", status).observe(ms / 1_000),
    shed: (reason: ShedReason) => shed.inc({ reason }),
    /** The gauge shows what `read` returns. */
    watchInFlight(read: () => number) {
      readInFlight = read;
    },
    /** In Prometheus' text format. */
    text: async () => `${durations.text()}\n${await registry.metrics()}`,
  };
}
