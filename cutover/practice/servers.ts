import { join } from "node:path";
import { type ServiceProcess, startService, stopLeftOver } from "../../dev/service_process.ts";
import type { BookStep } from "./book.ts";
import { startFaultyServer } from "./planted_fault.ts";
import { plantedFault } from "./practice_files.ts";

/** The addresses of a practice. */
export interface Practice {
  readonly stateFolder: string;
  readonly databaseUrl: string;
  readonly serviceUrl: string;
  readonly legacyPort: number;
  readonly gatewayPort: number;
  readonly adminPort: number;
  readonly dryRunSecret: string;
  readonly gatewayToken: string;
  /** Of the gateway; undefined: it serves no metrics there. */
  readonly metricsPort: string | undefined;
}

const filesOf = (stateFolder: string, name: "legacy" | "gateway") => ({
  logFile: join(stateFolder, "logs", `${name}.log`),
  pidFile: join(stateFolder, `${name}.pid`),
});

/**
 * Starts the stand-in and the gateway, with a server before Lotline that can spoil its responses. The
 * gateway forwards everything to the stand-in until a mode is set.
 */
export async function startPractice(
  running: AsyncDisposableStack,
  practice: Practice,
): Promise<ServiceProcess[]> {
  const { databaseUrl, legacyPort, serviceUrl, stateFolder } = practice;
  for (const name of ["gateway", "legacy"] as const) {
    await stopLeftOver(name, filesOf(stateFolder, name).pidFile);
  }
  const service = running.use(
    await startFaultyServer(serviceUrl, () => plantedFault(stateFolder)),
  );
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
        SERVICE_URL: service.url,
        GATEWAY_PORT: String(practice.gatewayPort),
        GATEWAY_ADMIN_PORT: String(practice.adminPort),
        GATEWAY_ADMIN_TOKEN: practice.gatewayToken,
        DRY_RUN_SECRET: practice.dryRunSecret,
        ...practice.metricsPort !== undefined && { METRICS_PORT: practice.metricsPort },
        // The load comes from many addresses.
        TRUSTED_PROXIES: "127.0.0.1",
      },
      ...filesOf(stateFolder, "gateway"),
      isReady: (log) => log.includes('"event":"listening"'),
    }),
  );
  return [legacy, gateway];
}

/** The addresses, and the commands to try: those of the book. */
export function greeting(
  practice: Practice,
  steps: readonly BookStep[],
  fault: string | undefined,
): string {
  const { legacyPort, gatewayPort, adminPort, databaseUrl, gatewayToken, stateFolder } = practice;
  const gateway = `http://127.0.0.1:${gatewayPort}`;
  const commands = steps.map(({ title, commands }) =>
    [`  # ${title}`, ...commands.map((command) => `  ${command}`)].join("\n")
  );
  return `
  Old server   http://127.0.0.1:${legacyPort} (a stand-in)
  Gateway      ${gateway}
  Its admin    http://127.0.0.1:${adminPort}, bearer ${gatewayToken}
  Planted      ${fault ?? "nothing"}

Practise a cutover with the book, docs/cutover.md. Send traffic from a second terminal; it prints
each change of a route:

  export LOTLINE_DATA=${stateFolder}
  deno task practice load

Plant a fault in Lotline's responses, and watch a route go back by itself; repair it afterwards:

  deno task practice break createLot=difference
  deno task practice repair

The book's steps, in a third terminal:

  export DATABASE_URL=${databaseUrl}
  export GATEWAY_URL=${gateway} LEGACY_URL=http://127.0.0.1:${legacyPort}

${commands.join("\n\n")}
`;
}
