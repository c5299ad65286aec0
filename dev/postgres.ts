/**
 * Our own PostgreSQL server, from npm, for `deno task dev` and the tests. It needs no installation,
 * listens on loopback only, and ends with our process.
 *
 * @module
 */

import { dirname } from "node:path";
import { linkTarget } from "../link_target.ts";
import { delay } from "../timing.ts";
import { killCluster, prepareDataFolder, stopPostmaster } from "./data_folder.ts";
import { claimFolder } from "./folder_claim.ts";
import { freePort, PortTakenError } from "./free_port.ts";
import { postgresBinaries, type PostgresMajor } from "./postgres_binaries.ts";
import { makeReachableFolder, serverUser } from "./state_folder.ts";
import { logTail, prepareLog } from "./server_log.ts";
import { ended, isRunning, startTied, type TiedProcess } from "./tied_process.ts";

/** A server, running or stopped by `stop` or `kill`. Disposing stops it. */
export interface PostgresServer extends AsyncDisposable {
  readonly port: number;
  /**
   * `postgres://postgres@127.0.0.1:PORT/postgres`; no password, since only loopback can connect.
   */
  readonly url: string;
  readonly dataDir: string;
  /** The postmaster's; changes with every start. */
  readonly pid: number;
  restart(): Promise<void>;
  /** Ends open connections, writes everything to disk, and returns after the server has ended. */
  stop(): Promise<void>;
  /** SIGKILL for the whole cluster, as a crash; returns after it has ended. */
  kill(): Promise<void>;
  /** Starts again after `stop` or `kill`, on the same port. */
  start(): Promise<void>;
}

export interface PostgresOptions {
  major: PostgresMajor;
  /** Made when missing. Its log is the neighbouring file `<dataDir>.log`. */
  dataDir: string;
  /** 0 or absent: a free one. */
  port?: number;
  /** Settings as in postgresql.conf, such as `fsync: "off"`. */
  settings?: Record<string, string>;
  /** Receives messages about slow steps. */
  progress?: (line: string) => void;
}

const PORT_TAKEN = "Address already in use";
const OLD_MEMORY = "is still in use";

/**
 * Starts PostgreSQL on its data folder; resolves when it accepts connections.
 *
 * @throws {PortTakenError} when a given port is taken
 * @throws Error with the last lines of the log when it does not start; when the folder is in use,
 * belongs to another major version or can't be reached
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  // The target of a link: the folder is made under another name and renamed, which replaces a link.
  const dataDir = await linkTarget(options.dataDir);
  const progress = options.progress ?? (() => {});
  const user = serverUser();
  const binaries = await postgresBinaries(options.major, progress);
  makeReachableFolder(dirname(dataDir));
  const logFile = `${dataDir}.log`;

  let claim: Disposable | undefined;
  let server: TiedProcess | undefined;
  let port = options.port || freePort();
  // After its first start it keeps its port, which clients know by then.
  let portIsFixed = Boolean(options.port);
  let hasRun = false;

  /** Makes one attempt to start the server; on failure returns the text of its log. */
  async function attempt(): Promise<string | undefined> {
    const log = prepareLog(logFile, user);
    const settings = {
      listen_addresses: "127.0.0.1",
      port: String(port),
      unix_socket_directories: "",
      timezone: "UTC",
      log_timezone: "UTC",
      lc_messages: "C",
      ...options.settings,
    };
    server = await startTied({
      command: binaries.postgres,
      args: ["-D", dataDir].concat(
        Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
      ),
      env: { LC_ALL: "C", TZ: "UTC" },
      logFile,
      user,
      // TERM alone waits for clients to disconnect; INT alone is ignored at the very start.
      stopSignals: ["TERM", "INT"],
    });
    if (await comesUp(server, dataDir)) return undefined;
    server = undefined;
    return log.since() || "nothing was written to the log";
  }

  async function start(): Promise<void> {
    if (server !== undefined && isRunning(server.pid)) return;
    claim ??= await claimFolder(dataDir);
    try {
      await prepareDataFolder({ dataDir, major: options.major, binaries, user, progress });
      for (let tries = 1;; tries++) {
        const failure = await attempt();
        if (failure === undefined) break;
        const taken = failure.includes(PORT_TAKEN);
        // A port just released, or shared memory of a killed server, can take a moment to be free
        // again.
        const passes = taken ? hasRun || !portIsFixed : failure.includes(OLD_MEMORY);
        if (tries > 20 || !passes) {
          if (taken) throw new PortTakenError(port);
          throw new Error(
            `PostgreSQL could not start. The end of ${logFile}:\n${logTail(failure)}`,
          );
        }
        if (taken && !portIsFixed) port = freePort();
        else await delay(100);
      }
      portIsFixed = hasRun = true;
    } catch (error) {
      release();
      throw error;
    }
  }

  async function end(how: (running: TiedProcess) => Promise<void>): Promise<void> {
    const running = server;
    if (running !== undefined) {
      server = undefined;
      await how(running);
      await ended(running);
    }
    release();
  }

  function release(): void {
    claim?.[Symbol.dispose]();
    claim = undefined;
  }

  const stop = () => end(() => stopPostmaster(binaries, dataDir, user));
  const kill = () => end((running) => killCluster(running.pid));
  await start();
  return {
    get port() {
      return port;
    },
    get url() {
      return `postgres://postgres@127.0.0.1:${port}/postgres`;
    },
    dataDir,
    get pid() {
      if (server === undefined) throw new Error("The PostgreSQL server is not running");
      return server.pid;
    },
    start,
    stop,
    kill,
    async restart() {
      await stop();
      await start();
    },
    [Symbol.asyncDispose]: stop,
  };
}

/** Waits until the server accepts connections; false when it ended instead. */
async function comesUp(server: TiedProcess, dataDir: string): Promise<boolean> {
  let gone = false;
  server.exited.then(() => gone = true);
  while (!gone) {
    // The eighth line is the server's state, written by the server itself.
    const lines = await Deno.readTextFile(`${dataDir}/postmaster.pid`).then(
      (text) => text.split("\n"),
      () => [],
    );
    if (Number(lines[0]) === server.pid && lines[7]?.startsWith("ready")) return true;
    await delay(15);
  }
  return false;
}
