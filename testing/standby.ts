import { join } from "node:path";
import { connect } from "../db/connect.ts";
import { migrate } from "../db/migrate.ts";
import type { Sql } from "../db/sql.ts";
import { childrenOf } from "../dev/data_folder.ts";
import { type PostgresServer, startPostgres } from "../dev/postgres.ts";
import { openForServers } from "../dev/state_folder.ts";
import { eventually } from "./eventually.ts";
import { FAST } from "./postgres_servers.ts";

/** Runs a statement on a server, over a connection of its own. */
async function on<T>(server: PostgresServer, work: (sql: Sql) => PromiseLike<T>): Promise<T> {
  const sql = connect({ url: server.url, max: 1, name: "lotline-test", statementTimeoutMs: 0 });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Ends the recovery of a standby: it accepts writes when this resolves. */
export const promote = (server: PostgresServer): Promise<unknown> =>
  on(server, (sql) => sql`select pg_promote(true, 60)`);

/** Restarts a server as a standby. */
export async function demote(server: PostgresServer): Promise<void> {
  await server.stop();
  await Deno.writeTextFile(join(server.dataDir, "standby.signal"), "");
  await server.start();
}

/** Makes a server read-only or not, also for open connections. */
export async function setReadOnly(server: PostgresServer, value: "on" | "off"): Promise<void> {
  await on(server, async (sql) => {
    await sql.unsafe(`alter system set default_transaction_read_only = ${value}`);
    await sql`select pg_reload_conf()`;
  });
  await eventually(`read-only is ${value}`, () =>
    on(server, async (sql) => {
      const [row] = await sql`select current_setting('transaction_read_only') as now`;
      return row?.now === value;
    }));
}

/** Pauses a server with all its processes, or lets them run again, as a frozen machine. */
export async function signalCluster(
  server: PostgresServer,
  signal: "SIGSTOP" | "SIGCONT",
): Promise<void> {
  // The postmaster first, so that it starts no further ones.
  Deno.kill(server.pid, signal);
  for (const pid of await childrenOf(server.pid)) Deno.kill(pid, signal);
}

/**
 * A primary with Lotline's tables and a standby that has received everything that is acknowledged, of
 * PostgreSQL 17. Disposing ends both.
 *
 * @param settings of both servers
 */
export async function startPair(settings: Readonly<Record<string, string>> = FAST) {
  const folder = await Deno.makeTempDir({ prefix: "lotline-test-" });
  openForServers(folder);
  const [first, second] = [join(folder, "first"), join(folder, "second")];
  const primary = await startPostgres({ major: 17, dataDir: first, settings });
  await migrate(primary.url, () => {});
  // The npm package has no pg_basebackup.
  await primary.stop();
  const copied = await new Deno.Command("cp", { args: ["-a", first, second] }).output();
  if (!copied.success) throw new Error(new TextDecoder().decode(copied.stderr));
  await Deno.writeTextFile(join(second, "standby.signal"), "");
  await primary.start();
  const standby = await startPostgres({
    major: 17,
    dataDir: second,
    settings: {
      ...settings,
      primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres`,
    },
  });
  await eventually("the standby follows", () =>
    on(primary, async (sql) => {
      const rows = await sql`select from pg_stat_replication where state = 'streaming'`;
      return rows.length === 1;
    }), { seconds: 60 });
  // From now on what is acknowledged is on both.
  await on(primary, async (sql) => {
    await sql`alter system set synchronous_standby_names = '*'`;
    await sql`select pg_reload_conf()`;
  });
  return {
    primary,
    standby,
    /** The address of both, for a session that can write. */
    url: `postgres://postgres@127.0.0.1:${primary.port},127.0.0.1:${standby.port}/postgres` +
      "?target_session_attrs=read-write",
    [Symbol.asyncDispose]: async () => {
      // A standby's primary waits for it as it stops.
      await primary.kill();
      await standby.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}
