import { Gauge, Registry } from "prom-client";
import { codeVersion } from "../version.ts";
import type { MetricsSource } from "./metrics_server.ts";

/** The processes that serve metrics. */
export type ProcessName = "api" | "worker" | "gateway";

/** What each process tells of itself: its release, when it began, its memory. */
export function processMetrics(process: ProcessName): MetricsSource {
  const registry = new Registry();
  const registers = [registry];
  new Gauge({
    name: "lotline_build_info",
    help: "1; the labels say which process of which release this is.",
    labelNames: ["process", "version"],
    registers,
    async collect() {
      this.set({ process, version: await codeVersion() ?? "unknown" }, 1);
    },
  });
  new Gauge({
    name: "process_start_time_seconds",
    help: "When this process began, in seconds since 1970.",
    registers,
  }).set(performance.timeOrigin / 1_000);
  new Gauge({
    name: "process_resident_memory_bytes",
    help: "Memory of this process.",
    registers,
    collect() {
      this.set(Deno.memoryUsage().rss);
    },
  });
  return { name: "process", text: () => registry.metrics() };
}
