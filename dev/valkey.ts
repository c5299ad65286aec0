/**
 * Our own Valkey (or Redis) server, for `deno task dev` and the tests. It listens on loopback only,
 * and ends with our process.
 *
 * @module
 */

import { dirname, resolve } from "node:path";
import { delay } from "../timing.ts";
import { claimFolder } from "./folder_claim.ts";
import { freePort, isTaken, PortTakenError } from "./free_port.ts";
import { logTail, prepareLog } from "./server_log.ts";
import { makeReachableFolder, serverUser } from "./state_folder.ts";
import {
  commandLine,
  ended,
  isRunning,
  killProcess,
  startTied,
  stopProcess,
  type TiedProcess,
} from "./tied_process.ts";
import { findValkey, installValkey } from "./valkey_program.ts";

export { findValkey, installValkey };

/** A server, running or stopped by `stop` or `kill`. Disposing stops it. */
export interface ValkeyServer extends AsyncDisposable {
  readonly port: number;
  /** The process; 0 while it is stopped. */
  readonly pid: number;
  /** `redis://127.0.0.1:PORT` */
  readonly url: string;
  /** The path of the running program. */
  readonly program: string;
  stop(): Promise<void>;
  /** SIGKILL, as a crash; returns after it has ended. */
  kill(): Promise<void>;
  /** Starts again after `stop` or `kill`, on the same port. */
  start(): Promise<void>;
  /** Pauses the process: connections stay open, without replies. */
  pause(): void;
  resume(): void;
}

export interface ValkeyOptions {
  /** Made when missing. The log is the neighbouring file `<dir>.log`. */
  dir: string;
  /** 0 or absent: a free one. */
  port?: number;
  /** Keeps the data over restarts; without it a server starts empty. */
  persist?: boolean;
  /** Further arguments of the program. */
  args?: readonly string[];
  /** Receives messages about slow steps, and the instructions to install a missing server. */
  progress?: (line: string) => void;
}

const PORT_TAKEN = "Address already in use";
const STOP_MS = 10_000;

/**
 * Starts a server; resolves when it responds. `undefined` when this machine has none and none could
 * be installed: `progress` gets the reason.
 *
 * @throws {PortTakenError} when a given port is taken
 * @throws Error with the last lines of the log when it does not start; when the folder is in use
 */
export async function startValkey(options: ValkeyOptions): Promise<ValkeyServer | undefined> {
  const progress = options.progress ?? (() => {});
  const program = await findValkey() ?? await installValkey(progress);
  if (program === undefined) return undefined;
  const dir = resolve(options.dir);
  const pidFile = `${dir}/server.pid`;
  const logFile = `${dir}.log`;
  const user = serverUser();
  makeReachableFolder(dirname(dir));
  await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
  if (user) await Deno.chown(dir, user.uid, user.gid);

  let claim: Disposable | undefined;
  let server: TiedProcess | undefined;
  let port = options.port || freePort();
  let portIsFixed = Boolean(options.port);
  let hasRun = false;

  /** Makes one attempt to start the server; on failure returns the text of its log. */
  async function attempt(command: string): Promise<string | undefined> {
    // Another program that listens there would be mistaken for our server.
    if (isTaken(port)) return PORT_TAKEN;
    const log = prepareLog(logFile, user);
    server = await startTied({
      command,
      args: ["--bind", "127.0.0.1", "--port", String(port), "--dir", dir, "--pidfile", pidFile]
        .concat("--save", "", "--appendonly", options.persist ? "yes" : "no", options.args ?? []),
      logFile,
      user,
    });
    if (await responses(server, port)) return undefined;
    server = undefined;
    return log.since() || "nothing was written to the log";
  }

  async function start(): Promise<void> {
    if (server !== undefined && isRunning(server.pid)) return;
    claim ??= await claimFolder(dir);
    try {
      await stopLeftOver(dir, pidFile, progress);
      for (let tries = 1;; tries++) {
        const failure = await attempt(program ?? "");
        if (failure === undefined) break;
        const taken = failure.includes(PORT_TAKEN);
        if (tries > 20 || !taken || (portIsFixed && !hasRun)) {
          if (taken) throw new PortTakenError(port);
          throw new Error(
            `${program} could not start. The end of ${logFile}:\n${logTail(failure)}`,
          );
        }
        if (portIsFixed) await delay(100);
        else port = freePort();
      }
      portIsFixed = hasRun = true;
    } catch (error) {
      release();
      throw error;
    }
  }

  async function end(how: (pid: number) => Promise<void>): Promise<void> {
    const running = server;
    if (running !== undefined) {
      server = undefined;
      await how(running.pid);
      await ended(running);
    }
    release();
  }

  function release(): void {
    claim?.[Symbol.dispose]();
    claim = undefined;
  }

  function send(signal: Deno.Signal): void {
    if (server === undefined) throw new Error("The Valkey server is not running");
    Deno.kill(server.pid, signal);
  }

  const stop = () => end((pid) => stopProcess(pid, STOP_MS));
  await start();
  return {
    get port() {
      return port;
    },
    get pid() {
      return server?.pid ?? 0;
    },
    get url() {
      return `redis://127.0.0.1:${port}`;
    },
    program,
    start,
    stop,
    kill: () => end(killProcess),
    pause: () => send("SIGSTOP"),
    resume: () => send("SIGCONT"),
    [Symbol.asyncDispose]: stop,
  };
}

/** Stops a server that outlived the process which had started it. We hold the claim by now. */
async function stopLeftOver(dir: string, pidFile: string, progress: (line: string) => void) {
  const pid = Number(await Deno.readTextFile(pidFile).catch(() => ""));
  if (!(pid > 1) || !isRunning(pid)) return;
  // The number may belong to another program by now, even to another Redis server.
  if (!/(valkey|redis)-server/.test(await commandLine(pid))) return;
  if (Deno.build.os === "linux" && Deno.readLinkSync(`/proc/${pid}/cwd`) !== dir) return;
  progress(`Stopping a Valkey or Redis server that an earlier run left behind (process ${pid})`);
  await stopProcess(pid, STOP_MS);
}

/** Waits until our own process responds on the port; false when it ended instead. */
async function responses(server: TiedProcess, port: number): Promise<boolean> {
  let gone = false;
  server.exited.then(() => gone = true);
  while (!gone) {
    const said = await info(port).catch(() => "");
    if (said.includes(`process_id:${server.pid}\r\n`)) return true;
    await delay(15);
  }
  return false;
}

/** The server's reply to INFO; an error while it does not listen yet. */
async function info(port: number): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode("INFO server\r\n"));
  const buffer = new Uint8Array(4096);
  const length = await connection.read(buffer) ?? 0;
  return new TextDecoder().decode(buffer.subarray(0, length));
}
