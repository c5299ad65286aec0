import { z } from "zod";
import { type LineReader, readLines } from "./lines.ts";
import { permissionsOf } from "./api.ts";

/** A gateway as a process of its own, started the way `deno task gateway` starts it. */
export interface TestGateway extends AsyncDisposable {
  readonly url: string;
  /** Its admin API. */
  readonly adminUrl: string;
  readonly process: Deno.ChildProcess;
  /** The mode that it goes by, of each operation. */
  modes(): Promise<Readonly<Record<string, string>>>;
  /** Everything it has logged so far, a JSON object a line. */
  readonly log: LineReader;
}

/** Where a gateway finds what it works with. */
export interface GatewayPlaces {
  readonly databaseUrl: string;
  /** The old server. */
  readonly legacyUrl: string;
  /** Lotline. */
  readonly serviceUrl: string;
  readonly environment?: Record<string, string>;
}

/** What the API and the gateway of a test both know. */
export const DRY_RUN_SECRET = "a_secret_of_a_test_known_to_both_sides";
/** What the admin API of a test's gateway asks for. */
export const GATEWAY_TOKEN = "gateway_token_of_a_test";

const Status = z.object({
  routes: z.array(z.object({ operation: z.string(), effective: z.object({ mode: z.string() }) })),
});

const MAIN = new URL("../gateway/main.ts", import.meta.url);

/**
 * Starts a gateway on free ports; resolves when it listens. It believes the X-Forwarded-For of this
 * machine, so that one test can be many clients.
 */
export async function startGateway(places: GatewayPlaces): Promise<TestGateway> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", ...permissionsOf("gateway"), MAIN.pathname],
    env: {
      GATEWAY_PORT: "0",
      GATEWAY_ADMIN_PORT: "0",
      DATABASE_URL: places.databaseUrl,
      LEGACY_URL: places.legacyUrl,
      SERVICE_URL: places.serviceUrl,
      GATEWAY_TOKEN,
      DRY_RUN_SECRET,
      TRUSTED_PROXIES: "127.0.0.1",
      ...places.environment,
    },
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const log = readLines(process.stdout);
  const listening = JSON.parse(await log.find((line) => line.includes('"msg":"listening"')));
  const adminUrl = `http://127.0.0.1:${listening.admin_port}`;
  return {
    url: `http://127.0.0.1:${listening.port}`,
    adminUrl,
    process,
    log,
    async modes() {
      const headers = { authorization: `Bearer ${GATEWAY_TOKEN}` };
      const answer = await fetch(`${adminUrl}/status`, { headers });
      const { routes } = Status.parse(await answer.json());
      return Object.fromEntries(
        routes.map(({ operation, effective }) => [operation, effective.mode]),
      );
    },
    [Symbol.asyncDispose]: async () => {
      try {
        process.kill("SIGTERM");
      } catch {
        // The test has ended it already.
      }
      await process.status;
      await log.ended;
    },
  };
}
