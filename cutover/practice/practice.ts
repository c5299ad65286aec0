/**
 * `deno task practice`: a stand-in for the old server and a gateway, next to the service that `deno
 * task dev --cutover` runs, until a signal. Its settings are `DATABASE_URL`, `SERVICE_URL`,
 * `DRY_RUN_SECRET` and `LOTLINE_DATA`, the state folder.
 *
 * @module
 */

import { join } from "node:path";
import { z } from "zod";
import { freePort } from "../../dev/free_port.ts";
import { type ServiceProcess, startService, stopLeftOver } from "../../dev/service_process.ts";
import { isRunning } from "../../dev/tied_process.ts";
import { delay } from "../../timing.ts";
import { answerHelp } from "../../task_help.ts";

const Settings = z.object({
  DATABASE_URL: z.string(),
  SERVICE_URL: z.string(),
  DRY_RUN_SECRET: z.string(),
  LOTLINE_DATA: z.string(),
});

/** The addresses of a practice. */
interface Practice {
  readonly stateFolder: string;
  readonly databaseUrl: string;
  readonly serviceUrl: string;
  readonly legacyPort: number;
  readonly gatewayPort: number;
  readonly adminPort: number;
  readonly dryRunSecret: string;
  readonly gatewayToken: string;
}

const filesOf = (stateFolder: string, name: "legacy" | "gateway") => ({
  logFile: join(stateFolder, "logs", `${name}.log`),
  pidFile: join(stateFolder, `${name}.pid`),
});

if (import.meta.main) {
  answerHelp({ task: "practice", settings: [Settings] });
  const running = new AsyncDisposableStack();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, async () => {
      await running.disposeAsync();
      Deno.exit(0);
    });
  }
  const settings = Settings.parse(Deno.env.toObject());
  // New ports and a new token each time, since nothing outlives the run.
  const practice = {
    stateFolder: settings.LOTLINE_DATA,
    databaseUrl: settings.DATABASE_URL,
    serviceUrl: settings.SERVICE_URL,
    dryRunSecret: settings.DRY_RUN_SECRET,
    legacyPort: freePort(),
    gatewayPort: freePort(),
    adminPort: freePort(),
    gatewayToken: crypto.randomUUID().replaceAll("-", ""),
  };
  await watch(await startPractice(running, practice), practice);
}

/** Prints the addresses, then waits until a part ends unexpectedly. */
async function watch(services: readonly ServiceProcess[], practice: Practice): Promise<never> {
  console.log(greeting(practice));
  for (;;) {
    for (const { name, pid, logTail } of services) {
      if (!isRunning(pid)) {
        console.error(`The ${name} ended by itself. The last lines of its log:\n${logTail()}`);
        Deno.exit(1);
      }
    }
    await delay(250);
  }
}

/** Starts both; the gateway forwards everything to the stand-in until a mode is set. */
async function startPractice(
  running: AsyncDisposableStack,
  practice: Practice,
): Promise<ServiceProcess[]> {
  const { databaseUrl, legacyPort, serviceUrl, stateFolder } = practice;
  for (const name of ["gateway", "legacy"] as const) {
    await stopLeftOver(name, filesOf(stateFolder, name).pidFile);
  }
  const legacy = running.use(
    await startService({
      name: "stand-in for the old server",
      task: "legacy",
      env: { DATABASE_URL: databaseUrl, LEGACY_PORT: String(legacyPort) },
      ...filesOf(stateFolder, "legacy"),
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
        SERVICE_URL: serviceUrl,
        GATEWAY_PORT: String(practice.gatewayPort),
        GATEWAY_ADMIN_PORT: String(practice.adminPort),
        GATEWAY_ADMIN_TOKEN: practice.gatewayToken,
        DRY_RUN_SECRET: practice.dryRunSecret,
      },
      ...filesOf(stateFolder, "gateway"),
      isReady: (log) => log.includes('"event":"listening"'),
    }),
  );
  return [legacy, gateway];
}

/** The commands to try. */
function greeting(practice: Practice): string {
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
