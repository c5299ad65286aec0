import { databaseCertificates } from "../db/certificates.ts";
import { clockMetrics } from "../db/clock_metrics.ts";
import { poolMetrics } from "../db/pool_metrics.ts";
import type { NotedProcess } from "../db/processes.ts";
import { certificateMetrics } from "../telemetry/certificates.ts";
import { eventLoopMetrics } from "../telemetry/event_loop.ts";
import type { MetricsSource } from "../telemetry/metrics_server.ts";
import { processMetrics } from "../telemetry/process_metrics.ts";
import type { Valkey } from "./valkey.ts";
import { valkeyCertificates, valkeyMetrics } from "./valkey_metrics.ts";

/** What API and worker alike tell of themselves and of the servers that they use. */
export function serviceMetrics(
  process: "api" | "worker",
  { databaseUrl, replicaUrl, noted, valkey, config }: {
    readonly databaseUrl: string;
    readonly replicaUrl: string | undefined;
    readonly noted: Pick<NotedProcess, "clock">;
    readonly valkey: Valkey | undefined;
    readonly config: {
      readonly VALKEY_URL?: string | undefined;
      readonly VALKEY_CA_FILE?: string | undefined;
    };
  },
): readonly MetricsSource[] {
  const { VALKEY_URL: valkeyUrl, VALKEY_CA_FILE: caFile } = config;
  return [
    processMetrics(process),
    eventLoopMetrics(),
    poolMetrics(),
    clockMetrics(noted),
    ...(valkey === undefined ? [] : [valkeyMetrics(valkey)]),
    certificateMetrics([
      ...databaseCertificates("database", databaseUrl),
      ...(replicaUrl === undefined ? [] : databaseCertificates("replica", replicaUrl)),
      ...(valkeyUrl === undefined ? [] : valkeyCertificates(valkeyUrl, caFile)),
    ]),
  ];
}
