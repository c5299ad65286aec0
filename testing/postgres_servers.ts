import { join } from "node:path";
import { startPostgres } from "../dev/postgres.ts";

/** The PostgreSQL versions that everything is tested on. */
export type Major = 15 | 17;

// Tests need no durability after a power cut, only after a kill of PostgreSQL.
const FAST = {
  fsync: "off",
  full_page_writes: "off",
  max_connections: "200",
};

/** The variable in which `testing/run.ts` passes the address of a shared server to the tests. */
export const sharedServerVariable = (major: Major) => `LOTLINE_TEST_POSTGRES_${major}`;

const servers = new Map<Major, Promise<string>>();

/**
 * The address of a running PostgreSQL of this version, database `postgres`. The whole test run
 * shares it; a test file that runs by itself starts one that ends with the process.
 */
export function postgresUrl(major: Major): Promise<string> {
  const shared = Deno.env.get(sharedServerVariable(major));
  if (shared !== undefined) return Promise.resolve(shared);
  const server = servers.get(major) ?? startOwn(major);
  servers.set(major, server);
  return server;
}

async function startOwn(major: Major): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "lotline-test-" });
  const server = await startPostgres({
    major,
    dataDir: join(folder, "postgres"),
    settings: FAST,
  });
  globalThis.addEventListener("unload", () => {
    try {
      Deno.kill(server.pid, "SIGQUIT");
      Deno.removeSync(folder, { recursive: true });
    } catch {
      // It may still be writing its last log lines; the folder is in the system's temporary one.
    }
  });
  return server.url;
}

/** A PostgreSQL for one test, to be stopped, killed and restarted. */
export async function ownPostgres(major: Major = 17) {
  const folder = await Deno.makeTempDir({ prefix: "lotline-test-" });
  const server = await startPostgres({ major, dataDir: join(folder, "postgres"), settings: FAST });
  return {
    server,
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}
