import type { MetricsPorts } from "./dev_observers.ts";
import type { Observers } from "./observe.ts";

/** The addresses of a started system. */
export interface Addresses {
  readonly api: string;
  readonly database: string;
  readonly valkey: string | undefined;
  readonly stateFolder: string;
  readonly apiLog: string;
  readonly workerLog: string;
  /** Undefined: without `--observe`. */
  readonly observers: Observers | undefined;
  readonly metrics: MetricsPorts | undefined;
}

/** The output of `deno task dev` when all runs: the addresses, and commands to try. */
export function greeting(addresses: Addresses): string {
  const { api, database, valkey, stateFolder, apiLog, workerLog } = addresses;
  return `
  API          ${api}
  Reference    ${api}/docs
  Contract     ${api}/openapi.yaml
  Database     ${database}
  Valkey       ${valkey ?? "none: no cache"}
  Data         ${stateFolder}
  API's log    ${apiLog}
  Worker's     ${workerLog}
${observed(addresses)}
Try these in another terminal; each can be repeated:

  curl -s ${api}/api/health
  curl -s ${api}/api/traceability/MIX-BATCH-88
  curl -s -X POST ${api}/api/lots -H 'content-type: application/json' \\
    -d '{"lot_code":"RAW-TRY-'$(date +%s)'","lot_type":"RAW","weight_kg":"12.50"}'

Every route is open (AUTH_MODE=legacy), to this machine only. Ctrl-C ends it all.
`;
}

/** The lines about what `--observe` has started. */
function observed({ observers, metrics = {} }: Addresses): string {
  if (observers === undefined) return "";
  const ports = Object.entries(metrics)
    .map(([job, port]) => `  Metrics      http://127.0.0.1:${port}/metrics (${job})\n`);
  return `  Prometheus   ${observers.prometheusUrl}
  Alerts       ${observers.prometheusUrl}/alerts
  Alertmanager ${observers.alertmanagerUrl}
${ports.join("")}`;
}
