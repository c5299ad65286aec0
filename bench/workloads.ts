/**
 * The requests that are sent to the contenders, as data.
 *
 * @module
 */

import { Random } from "../dev/random.ts";
import type { Plant } from "./plant.ts";

/** A request as `requests.lua` reads it; UNIQUE in the body becomes a new text each time. */
export interface BenchRequest {
  readonly method: "GET" | "POST";
  /** Percent-encoded where necessary. */
  readonly path: string;
  readonly body?: Readonly<Record<string, unknown>>;
}

/** One kind of request. */
export interface Workload {
  readonly name: string;
  readonly title: string;
  /** The expected status of every response. */
  readonly status: 200 | 201;
  /** The table to which each successful request adds one row. */
  readonly stores?: string;
  /** The requests to send, in a loop. */
  requests(plant: Plant): BenchRequest[];
}

// Enough different requests that no cache of recent results can serve them.
const VARIETY = 5_000;

/** All workloads; those that write come last, so that the others find the same rows in each run. */
export const WORKLOADS: readonly Workload[] = [
  {
    name: "health",
    title: "Health: no database",
    status: 200,
    requests: () => [{ method: "GET", path: "/api/health" }],
  },
  {
    name: "trace",
    title: "Trace: one hop of a random lot of the demo plant",
    status: 200,
    requests: traces,
  },
  {
    name: "trace-cached",
    title: "The same traces where Lotline has its cache",
    status: 200,
    requests: traces,
  },
  {
    name: "login",
    title: "Login by email alone (AUTH_MODE=legacy)",
    status: 200,
    requests: ({ emails }) =>
      some((random) => ({
        method: "POST",
        path: "/api/login",
        body: { email: pick(random, emails), password: "not looked at" },
      })),
  },
  {
    name: "qc",
    title: "QC decision on a random lot",
    status: 201,
    stores: "qc_decisions",
    requests: ({ lotIds, gateIds, userIds }) =>
      some((random) => ({
        method: "POST",
        path: "/api/qc-decisions",
        body: {
          lot_id: pick(random, lotIds),
          qc_gate_id: pick(random, gateIds),
          operator_id: pick(random, userIds),
          decision: random.pick(["PASS", "PASS", "HOLD"]),
          notes: "Core temperature measured at three places",
          temperature_c: random.between(-20, 4).toFixed(1),
          digital_signature: "BK",
        },
      })),
  },
  {
    name: "lot",
    title: "Create a lot with a new code",
    status: 201,
    stores: "lots",
    requests: ({ runIds, phaseIds, userIds }) =>
      some((random) => ({
        method: "POST",
        path: "/api/lots",
        body: {
          lot_code: "BENCH-UNIQUE",
          lot_type: random.pick(["RAW", "DEB", "MIX", "FG"]),
          production_run_id: pick(random, runIds),
          phase_id: pick(random, phaseIds),
          operator_id: pick(random, userIds),
          weight_kg: random.between(5, 600).toFixed(2),
          temperature_c: random.between(-20, 4).toFixed(1),
          metadata: { supplier: "Duna Hús Kft.", batch: "DH-4411", material: "beef, bone in" },
        },
      })),
  },
];

/** @throws Error naming all workloads when the name is unknown */
export function workloadNamed(name: string): Workload {
  const found = WORKLOADS.find((workload) => workload.name === name);
  if (found !== undefined) return found;
  const names = WORKLOADS.map(({ name }) => name).join(", ");
  throw new Error(`There is no workload ${name}; there are ${names}`);
}

/** The lines that `requests.lua` reads. */
export function requestLines(requests: readonly BenchRequest[]): string {
  return requests.map(({ method, path, body }) => {
    return `${method} ${path}${body ? ` ${JSON.stringify(body)}` : ""}\n`;
  }).join("");
}

function traces({ lotCodes }: Plant): BenchRequest[] {
  return some((random) => ({
    method: "GET",
    path: `/api/traceability/${encodeURIComponent(pick(random, lotCodes))}`,
  }));
}

function some(make: (random: Random) => BenchRequest): BenchRequest[] {
  const random = new Random(20260301);
  return Array.from({ length: VARIETY }, () => make(random));
}

function pick(random: Random, values: readonly string[]): string {
  const value = values[Math.floor(random.next() * values.length)];
  if (value === undefined) throw new Error("The demo plant lacks rows that requests are made of");
  return value;
}
