import { gauges } from "../telemetry/gauges.ts";
import type { MetricsSource } from "../telemetry/metrics_server.ts";
import type { NotedProcess } from "./processes.ts";

/** A reading that may be wrong by more says nothing, in ms: a busy PostgreSQL responds late. */
const MAX_ERROR_MS = 500;

/** How far this process's clock is ahead of PostgreSQL's, as its last note found it. */
export function clockMetrics(noted: Pick<NotedProcess, "clock">): MetricsSource {
  return gauges("clock", [{
    name: "lotline_clock_offset_seconds",
    help: "This process's clock minus PostgreSQL's, read every 2 s.",
    read() {
      const { clock } = noted;
      return clock === undefined || clock.errorMs > MAX_ERROR_MS
        ? undefined
        : clock.aheadMs / 1_000;
    },
  }]);
}
