import { z } from "zod";
import { startTask, type TaskProcess } from "../../testing/task_process.ts";

/** A gateway in its own process; its log is one JSON object a line. */
export interface TestGateway extends TaskProcess {
  readonly url: string;
  /** Its admin API. */
  readonly adminUrl: string;
  /** The current mode of each operation. */
  modes(): Promise<Readonly<Record<string, string>>>;
}

/** The addresses that a gateway uses. */
interface GatewayAddresses {
  readonly databaseUrl: string;
  /** The old server. */
  readonly legacyUrl: string;
  /** Lotline. */
  readonly serviceUrl: string;
  readonly environment?: Record<string, string>;
  /** The tree of another version. */
  readonly root?: URL;
}

/** The secret that the API and the gateway of a test share. */
export const DRY_RUN_SECRET = "a_secret_of_a_test_known_to_both_sides";
/** The token of the admin API of a test's gateway. */
export const GATEWAY_ADMIN_TOKEN = "gateway_token_of_a_test";

const Status = z.object({
  routes: z.array(z.object({ operation: z.string(), effective: z.object({ mode: z.string() }) })),
});

/**
 * Starts a gateway on free ports; resolves when it listens. It trusts this machine's
 * X-Forwarded-For, so that one test can act as many clients.
 */
export async function startGateway(places: GatewayAddresses): Promise<TestGateway> {
  const started = await startTask({
    task: "gateway",
    env: {
      GATEWAY_PORT: "0",
      GATEWAY_ADMIN_PORT: "0",
      DATABASE_URL: places.databaseUrl,
      LEGACY_URL: places.legacyUrl,
      SERVICE_URL: places.serviceUrl,
      GATEWAY_ADMIN_TOKEN,
      DRY_RUN_SECRET,
      TRUSTED_PROXIES: "127.0.0.1",
      ...places.environment,
    },
    isReady: (line) => line.includes('"event":"listening"'),
    ...places.root && { root: places.root },
  });
  const listening = JSON.parse(started.readyLine);
  const adminUrl = `http://127.0.0.1:${listening.admin_port}`;
  return {
    ...started,
    url: `http://127.0.0.1:${listening.port}`,
    adminUrl,
    async modes() {
      const headers = { authorization: `Bearer ${GATEWAY_ADMIN_TOKEN}` };
      const response = await fetch(`${adminUrl}/status`, { headers });
      const { routes } = Status.parse(await response.json());
      return Object.fromEntries(
        routes.map(({ operation, effective }) => [operation, effective.mode]),
      );
    },
  };
}
