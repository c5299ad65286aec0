/**
 * A stand-in for the old server and a gateway beside what `deno task dev` starts, to practise a
 * cutover with.
 *
 * @module
 */

import { join } from "node:path";
import { freePort } from "./free_port.ts";
import { type ServiceProcess, startService, stopLeftOver } from "./service_process.ts";

/** Where things are in a practice. */
export interface Practice {
  readonly stateFolder: string;
  readonly databaseUrl: string;
  readonly legacyPort: number;
  readonly gatewayPort: number;
  readonly adminPort: number;
  readonly servicePort: number;
  readonly dryRunSecret: string;
  readonly gatewayToken: string;
}

const filesOf = (stateFolder: string, name: "legacy" | "gateway") => ({
  logFile: join(stateFolder, "logs", `${name}.log`),
  pidFile: join(stateFolder, `${name}.pid`),
});

/** Chooses ports and secrets; new ones each time, since nothing outlives the run. */
export function choosePractice(
  stateFolder: string,
  databaseUrl: string,
  servicePort: number,
): Practice {
  return {
    stateFolder,
    databaseUrl,
    servicePort,
    legacyPort: freePort(),
    gatewayPort: freePort(),
    adminPort: freePort(),
    dryRunSecret: newSecret(),
    gatewayToken: newSecret(),
  };
}

const newSecret = () => crypto.randomUUID().replaceAll("-", "");

/** Stops what outlived the run that had started it. */
export async function stopLeftOverPractice(stateFolder: string): Promise<void> {
  for (const name of ["gateway", "legacy"] as const) {
    await stopLeftOver(name, filesOf(stateFolder, name).pidFile);
  }
}

/** Starts both; the gateway forwards everything to the stand-in until it is told otherwise. */
export async function startPractice(
  running: AsyncDisposableStack,
  practice: Practice,
): Promise<ServiceProcess[]> {
  const { databaseUrl, legacyPort, servicePort } = practice;
  const legacy = running.use(
    await startService({
      name: "stand-in for the old server",
      task: "legacy",
      env: { DATABASE_URL: databaseUrl, LEGACY_PORT: String(legacyPort) },
      ...filesOf(practice.stateFolder, "legacy"),
      isReady: (log) => log.includes("http://"),
    }),
  );
  const gateway = running.use(
    await startService({
      name: "gateway",
      task: "gateway",
      env: {
        DATABASE_URL: databaseUrl,
        LEGACY_URL: `http://127.0.0.1:${legacyPort}`,
        SERVICE_URL: `http://127.0.0.1:${servicePort}`,
        GATEWAY_PORT: String(practice.gatewayPort),
        GATEWAY_ADMIN_PORT: String(practice.adminPort),
        GATEWAY_TOKEN: practice.gatewayToken,
        DRY_RUN_SECRET: practice.dryRunSecret,
      },
      ...filesOf(practice.stateFolder, "gateway"),
      isReady: (log) => log.includes('"msg":"listening"'),
    }),
  );
  return [legacy, gateway];
}

/** What to try with it. */
export function practiceGreeting(practice: Practice): string {
  const { legacyPort, gatewayPort, adminPort, databaseUrl, gatewayToken } = practice;
  const gateway = `http://127.0.0.1:${gatewayPort}`;
  return `
  Old server   http://127.0.0.1:${legacyPort} (a stand-in)
  Gateway      ${gateway}
  Its admin    http://127.0.0.1:${adminPort}, bearer ${gatewayToken}

Practise a cutover (docs/cutover.md) in another terminal:

  export DATABASE_URL=${databaseUrl}
  export GATEWAY_URL=${gateway} LEGACY_URL=http://127.0.0.1:${legacyPort}
  deno task cutover status
  deno task cutover set all shadow --why practice
  curl -s ${gateway}/api/traceability/MIX-BATCH-88
  deno task cutover probe
  deno task cutover status
`;
}
