import { join } from "node:path";
import { prepareDataFolder } from "../dev/data_folder.ts";
import { startPostgres } from "../dev/postgres.ts";
import { postgresBinaries } from "../dev/postgres_binaries.ts";
import { openForServers, serverUser } from "../dev/state_folder.ts";
import { type Certificate, giveToServer } from "./certificates.ts";

/** The PostgreSQL versions that everything is tested on. */
export type Major = 15 | 17;

// Tests need no durability after a power cut, only after a kill of PostgreSQL.
export const FAST = {
  fsync: "off",
  full_page_writes: "off",
  max_connections: "200",
};

/** The variable in which `testing/run.ts` passes the address of a shared server to the tests. */
export const sharedServerVariable = (major: Major) => `LOTLINE_TEST_POSTGRES_${major}`;

/** The variable with the folder of a new cluster's files, which the tests of a run copy. */
export const newClusterVariable = (major: Major) => `LOTLINE_TEST_CLUSTER_${major}`;

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

/** Makes the files of a cluster that no server has used. Disposing removes them. */
export async function newCluster(
  major: Major,
): Promise<{ readonly path: string } & AsyncDisposable> {
  const folder = await Deno.makeTempDir({ prefix: "lotline-test-" });
  openForServers(folder);
  const path = join(folder, "postgres");
  const progress = () => {};
  await prepareDataFolder({
    dataDir: path,
    major,
    binaries: await postgresBinaries(major, progress),
    user: serverUser(),
    progress,
  });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

/** Copies a cluster's files with their owner and rights, in a tenth of the time of initdb. */
async function copyCluster(from: string, to: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("cp", { args: ["-a", from, to] }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

interface OwnOptions {
  readonly settings?: Readonly<Record<string, string>>;
  /** The lines of pg_hba.conf; by default all of this machine may log in without a password. */
  readonly hba?: readonly string[];
  /** The folder of a new cluster, to be copied; without one, initdb makes the files. */
  readonly files?: string | undefined;
}

/** A PostgreSQL for one test, to be stopped, killed and restarted. */
export async function ownPostgres(
  major: Major = 17,
  { settings = {}, hba, files = Deno.env.get(newClusterVariable(major)) }: OwnOptions = {},
) {
  const folder = await Deno.makeTempDir({ prefix: "lotline-test-" });
  openForServers(folder);
  const hbaFile = join(folder, "pg_hba.conf");
  if (hba !== undefined) await Deno.writeTextFile(hbaFile, hba.join("\n"));
  const dataDir = join(folder, "postgres");
  if (files !== undefined) await copyCluster(files, dataDir);
  const server = await startPostgres({
    major,
    dataDir,
    settings: { ...FAST, ...settings, ...(hba !== undefined && { hba_file: hbaFile }) },
  });
  return {
    server,
    /** Its address with another host, or with parameters. */
    address({ host = "127.0.0.1", query = "" }: { host?: string; query?: string } = {}): string {
      return `postgres://postgres@${host}:${server.port}/postgres?${query}`;
    },
    /** Restarts it as a standby that gets nothing from a primary; `pg_promote()` ends that. */
    async becomeStandby(): Promise<void> {
      await server.stop();
      await Deno.writeTextFile(join(server.dataDir, "standby.signal"), "");
      await server.start();
    },
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** A PostgreSQL that offers TLS with a certificate, which can be replaced. */
export async function tlsPostgres(certificate: Certificate, options: OwnOptions & {
  /** The authority of clients. */
  readonly clientAuthority?: string;
} = {}) {
  const files = await Deno.makeTempDir({ prefix: "lotline-test-" });
  openForServers(files);
  const [cert, key, authority] = ["server.crt", "server.key", "clients.crt"]
    .map((name) => join(files, name)) as [string, string, string];
  const put = async (from: Certificate) => {
    await Deno.copyFile(from.cert, cert);
    // PostgreSQL may read the files between the two.
    await Deno.copyFile(from.key, `${key}.new`);
    await giveToServer(`${key}.new`);
    await Deno.rename(`${key}.new`, key);
  };
  await put(certificate);
  if (options.clientAuthority !== undefined) {
    await Deno.copyFile(options.clientAuthority, authority);
  }
  const own = await ownPostgres(17, {
    ...options,
    settings: {
      ssl: "on",
      ssl_cert_file: cert,
      ssl_key_file: key,
      ...(options.clientAuthority !== undefined && { ssl_ca_file: authority }),
      ...options.settings,
    },
  });
  return {
    ...own,
    /** Replaces the files of the certificate; PostgreSQL reads them when it is reloaded. */
    put,
    /** Replaces the certificate; connections from now on get the new one. */
    async present(next: Certificate): Promise<void> {
      await put(next);
      await own.server.restart();
    },
    [Symbol.asyncDispose]: async () => {
      await own[Symbol.asyncDispose]();
      await Deno.remove(files, { recursive: true });
    },
  };
}
