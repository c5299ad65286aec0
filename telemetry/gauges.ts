import { Gauge, Registry } from "prom-client";
import type { MetricsSource } from "./metrics_server.ts";

interface GaugeOptions {
  readonly name: string;
  /** A sentence. */
  readonly help: string;
  /** Called when the metrics are read; undefined: not known, and the series is missing. */
  readonly read: () => number | undefined | Promise<number | undefined>;
}

/** Gauges without labels, as they are when the metrics are read. */
export function gauges(name: string, all: readonly GaugeOptions[]): MetricsSource {
  const registry = new Registry();
  for (const { read, ...options } of all) {
    new Gauge({
      ...options,
      registers: [registry],
      async collect() {
        const value = await read();
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
  }
  return { name, text: () => registry.metrics() };
}
