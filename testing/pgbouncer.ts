import { join } from "node:path";
import postgres from "postgres";
import { freePort } from "../dev/free_port.ts";
import { logTail, prepareLog } from "../dev/server_log.ts";
import { openForServers, serverUser } from "../dev/state_folder.ts";
import {
  ended,
  isRunning,
  killProcess,
  startTied,
  stopProcess,
  type TiedProcess,
} from "../dev/tied_process.ts";
import { debianPgBouncer, type Release } from "../dev/debian_packages.ts";
import { eventually } from "./eventually.ts";

export interface PgBouncer extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  /** The same address through PgBouncer, with these parameters. */
  through(url: string, query?: string): string;
  /** Runs a command of its console, such as `reload`. */
  command(text: string): Promise<void>;
  /** Ends it with all its connections, and starts it again. */
  restart(): Promise<void>;
  log(): string;
}

interface Options {
  readonly release?: Release;
  /** Settings of the section `[pgbouncer]`, beside those that make it run. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Further users of its `auth_file`, with their passwords. */
  readonly users?: Readonly<Record<string, string>>;
}

/** What every session of Lotline's sends that PgBouncer refuses unless it ignores it. */
export const IGNORED_PARAMETERS =
  "statement_timeout,lock_timeout,idle_session_timeout,idle_in_transaction_session_timeout," +
  "default_transaction_read_only,options";

const STOP_MS = 5_000;

/** A PgBouncer in transaction mode with two connections, before a PostgreSQL of this machine. */
export async function startPgBouncer(
  server: string,
  { release = "bookworm", settings = {}, users = {} }: Options = {},
): Promise<PgBouncer> {
  const program = await debianPgBouncer(release);
  const folder = await Deno.makeTempDir({ prefix: "lotline-test-" });
  openForServers(folder);
  const { port: serverPort } = new URL(server);
  const port = freePort();
  const [config, authFile, logFile] = ["pgbouncer.ini", "users.txt", "pgbouncer.log"]
    .map((name) => join(folder, name)) as [string, string, string];
  const all = {
    listen_addr: "127.0.0.1",
    listen_port: String(port),
    unix_socket_dir: "",
    auth_type: "trust",
    auth_file: authFile,
    admin_users: "postgres",
    pool_mode: "transaction",
    default_pool_size: "2",
    max_client_conn: "500",
    ...settings,
  };
  const logins = Object.entries({ postgres: "", ...users });
  await Deno.writeTextFile(
    authFile,
    logins.map(([name, password]) => `"${name}" "${password}"\n`).join(""),
  );
  await Deno.writeTextFile(
    config,
    [
      "[databases]",
      // PostgreSQL's other roles may log in too.
      `* = host=127.0.0.1 port=${serverPort} auth_user=postgres`,
      "[pgbouncer]",
      ...Object.entries(all).map(([name, value]) => `${name} = ${value}`),
      "",
    ].join("\n"),
  );
  const user = serverUser();
  const log = prepareLog(logFile, user);
  const start = async (): Promise<TiedProcess> => {
    const { command, args } = program;
    const started = await startTied({ command, args: [...args, config], logFile, user });
    await eventually("PgBouncer accepts connections", () => {
      if (isRunning(started.pid)) return accepts(port);
      throw new Error(`PgBouncer could not start:\n${logTail(log.since())}`);
    });
    return started;
  };
  let running = await start();
  return {
    port,
    get pid() {
      return running.pid;
    },
    through(url, query = "") {
      const address = new URL(url);
      address.host = `127.0.0.1:${port}`;
      address.search = query;
      return address.href;
    },
    async command(text) {
      const sql = postgres({
        host: "127.0.0.1",
        port,
        user: "postgres",
        database: "pgbouncer",
        max: 1,
        fetch_types: false,
      });
      await sql.unsafe(text).simple();
      await sql.end();
    },
    async restart() {
      await killProcess(running.pid);
      running = await start();
    },
    log: log.since,
    async [Symbol.asyncDispose]() {
      await stopProcess(running.pid, STOP_MS);
      await ended(running);
      await Deno.remove(folder, { recursive: true });
    },
  };
}

async function accepts(port: number): Promise<boolean> {
  try {
    using _connection = await Deno.connect({ hostname: "127.0.0.1", port });
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    throw error;
  }
}
