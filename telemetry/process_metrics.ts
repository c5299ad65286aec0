import process from "node:process";
import { Counter, Gauge, Registry } from "prom-client";
import { codeVersion } from "../version.ts";
import type { MetricsSource } from "./metrics_server.ts";

/** The processes that serve metrics. */
export type ProcessName = "api" | "worker" | "gateway";

/** What each process tells of itself: its release, when it began, its processor time and memory. */
export function processMetrics(name: ProcessName): MetricsSource {
  const registry = new Registry();
  const registers = [registry];
  new Gauge({
    name: "lotline_build_info",
    help: "1; the labels say which process of which release this is.",
    labelNames: ["process", "version"],
    registers,
    async collect() {
      this.set({ process: name, version: await codeVersion() ?? "unknown" }, 1);
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
  new Counter({
    name: "process_cpu_seconds_total",
    help: "Processor time of this process, its threads included.",
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1_000_000);
    },
  });
  new Gauge({
    name: "lotline_heap_bytes",
    help: "V8's heap without that of threads: used of it, reserved for it, and memory beside it.",
    labelNames: ["kind"],
    registers,
    collect() {
      const { heapUsed, heapTotal, external } = Deno.memoryUsage();
      this.set({ kind: "used" }, heapUsed);
      this.set({ kind: "reserved" }, heapTotal);
      this.set({ kind: "external" }, external);
    },
  });
  return { name: "process", text: () => registry.metrics() };
}
