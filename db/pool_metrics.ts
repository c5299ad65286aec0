import { Gauge, Registry } from "prom-client";
import { createHistogram, type Series } from "../telemetry/histogram.ts";
import type { MetricsSource } from "../telemetry/metrics_server.ts";

/** A pool as metrics see it, read when they are. */
export interface PoolState {
  /** Connections, open or opening, that have work. */
  readonly inUse: number;
  /** Open connections without work. */
  readonly idle: number;
  /** The most connections; undefined: the pool's users bound it. */
  readonly max?: number;
  /** What waits for a connection. */
  readonly waiting?: number;
}

const NAME_PREFIX = "lotline-";

/** The open pools of this process by their label. */
const pools = new Map<string, Set<() => PoolState>>();

const waits = createHistogram({
  name: "lotline_pool_wait_seconds",
  help: "Time that statements waited for a place in their pool, until they had it or gave up.",
  labelNames: ["pool"],
});

/**
 * Shows a pool in the metrics until disposed. Pools of the same name are shown as one.
 *
 * @param name the `application_name` of its connections
 */
export function showPool(name: string, read: () => PoolState): Disposable {
  const readers = pools.getOrInsertComputed(labelOf(name), () => new Set());
  readers.add(read);
  return { [Symbol.dispose]: () => void readers.delete(read) };
}

/** Where the waiting times of a pool are counted, in seconds. */
export const waitsOf = (name: string): Series => waits.withLabels(labelOf(name));

/** The pools of this process, except those of its threads. */
export function poolMetrics(): MetricsSource {
  const registry = new Registry();
  const gauge = <Label extends string>(name: string, help: string, labelNames: Label[]) => ({
    name: `lotline_pool_${name}`,
    help,
    labelNames,
    registers: [registry],
  });
  new Gauge({
    ...gauge("connections", "Connections of a pool by state.", ["pool", "state"]),
    collect() {
      this.reset();
      for (const [pool, { inUse, idle }] of readPools()) {
        this.set({ pool, state: "in_use" }, inUse);
        this.set({ pool, state: "idle" }, idle);
      }
    },
  });
  new Gauge({
    ...gauge("max", "The most connections of a pool.", ["pool"]),
    collect() {
      this.reset();
      for (const [pool, { max }] of readPools()) if (max !== undefined) this.set({ pool }, max);
    },
  });
  new Gauge({
    ...gauge("waiting", "Statements that wait for a place in their pool.", ["pool"]),
    collect() {
      this.reset();
      for (const [pool, { waiting }] of readPools()) {
        if (waiting !== undefined) this.set({ pool }, waiting);
      }
    },
  });
  return { name: "pools", text: async () => `${await registry.metrics()}\n${waits.text()}` };
}

function readPools(): [pool: string, PoolState][] {
  return [...pools].flatMap(([pool, readers]) =>
    readers.size === 0 ? [] : [[pool, [...readers].map((read) => read()).reduce(sumOf)]]
  );
}

function sumOf(one: PoolState, other: PoolState): PoolState {
  const [max, waiting] = [sum(one.max, other.max), sum(one.waiting, other.waiting)];
  return {
    inUse: one.inUse + other.inUse,
    idle: one.idle + other.idle,
    ...(max !== undefined && { max }),
    ...(waiting !== undefined && { waiting }),
  };
}

const sum = (one: number | undefined, other: number | undefined) =>
  one === undefined && other === undefined ? undefined : (one ?? 0) + (other ?? 0);

function labelOf(name: string): string {
  return name.startsWith(NAME_PREFIX) ? name.slice(NAME_PREFIX.length) : name;
}
