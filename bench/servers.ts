/**
 * Starts the measured servers, each in its own process.
 *
 * @module
 */

import { join } from "node:path";
import { createKeyFile } from "../auth/keys.ts";
import { startApi } from "../dev/api_process.ts";
import { freePort } from "../dev/free_port.ts";
import { prepareLog } from "../dev/server_log.ts";
import { PROJECT_FOLDER } from "../dev/state_folder.ts";
import { hasTask, taskWords } from "../dev/task_command.ts";
import { ended, isRunning, startTied, stopProcess } from "../dev/tied_process.ts";
import { delay } from "../timing.ts";

/** The resources of a contender. */
export interface Place {
  /** A separate database, filled like the others. */
  readonly databaseUrl: string;
  /** Its folder for logs and keys. */
  readonly folder: string;
}

/** A server that runs. Disposing stops it. */
export interface Running extends AsyncDisposable {
  readonly pid: number;
  readonly url: string;
  /** Other processes whose time counts as the server's. */
  readonly helpers?: readonly number[];
}

/** Starts Lotline as `deno task start` does, with these settings beyond ports and addresses. */
export async function startLotline(
  { databaseUrl, folder }: Place,
  settings: Readonly<Record<string, string>>,
  port = freePort(),
): Promise<Running> {
  const keys = join(folder, "keys.json");
  await createKeyFile(keys);
  const api = await startApi({
    port,
    // As many connections as the old server's driver opens by default.
    env: {
      DATABASE_URL: databaseUrl,
      DATABASE_POOL_MAX: "10",
      JWT_KEYS_FILE: keys,
      ...settings,
    },
    logFile: join(folder, "server.log"),
    pidFile: join(folder, "server.pid"),
  });
  return {
    pid: api.pid,
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}

/** Starts two of them on one port, each with half of the connections to PostgreSQL. */
export async function startTwoLotlines(
  place: Place,
  settings: Readonly<Record<string, string>>,
): Promise<Running> {
  await using stack = new AsyncDisposableStack();
  const port = freePort();
  const start = async (name: string) => {
    const folder = join(place.folder, name);
    await Deno.mkdir(folder);
    const shared = { DATABASE_POOL_MAX: "5", REUSE_PORT: "1" };
    return stack.use(await startLotline({ ...place, folder }, { ...settings, ...shared }, port));
  };
  const first = await start("first");
  const { pid } = await start("second");
  const both = stack.move();
  return { ...first, helpers: [pid], [Symbol.asyncDispose]: () => both.disposeAsync() };
}

/** The old server's task (a stand-in); undefined after `cutover/` is removed. */
const LEGACY = "legacy";

/** Starts the old server's stand-in by its task; undefined without one. */
export async function startLegacy({ databaseUrl, folder }: Place): Promise<Running | undefined> {
  if (!hasTask(LEGACY)) return undefined;
  const port = freePort();
  const [, ...args] = taskWords(LEGACY);
  const env = { DATABASE_URL: databaseUrl, LEGACY_PORT: String(port) };
  return await startServer({ folder, port, command: Deno.execPath(), args, env });
}

const MAIN_FOR_NODE = `import { startLegacy } from "./server.mjs";
await startLegacy({ databaseUrl: process.env.DATABASE_URL, port: Number(process.env.PORT) });
`;

/** The old server ran on Node. The stand-in's packages are in Deno's cache, so they are bundled. */
export async function startLegacyOnNode(
  { databaseUrl, folder }: Place,
): Promise<Running | undefined> {
  const main = await bundleForNode(folder);
  if (main === undefined) return undefined;
  const port = freePort();
  const env = { DATABASE_URL: databaseUrl, PORT: String(port) };
  return await startServer({ folder, port, command: "node", args: [main], env });
}

/** The arguments of `node`; undefined without Node. */
export async function bundleForNode(folder: string): Promise<string | undefined> {
  if (!hasTask(LEGACY) || !await succeeds("node", ["--version"])) return undefined;
  const bundle = join(folder, "server.mjs");
  const server = taskWords(LEGACY).at(-1)?.replace("main.ts", "server.ts") ?? "";
  const args = ["bundle", "--quiet", "--output", bundle, server];
  if (!await succeeds(Deno.execPath(), args)) return undefined;
  const main = join(folder, "main.mjs");
  await Deno.writeTextFile(main, MAIN_FOR_NODE);
  return main;
}

async function succeeds(command: string, args: string[]): Promise<boolean> {
  const quiet = { cwd: PROJECT_FOLDER, stdin: "null", stdout: "null", stderr: "null" } as const;
  return await new Deno.Command(command, { args, ...quiet }).output().then(
    ({ success }) => success,
    () => false,
  );
}

/** Starts a server of one process; resolves with its first response. */
export async function startServer(
  { folder, port, command, args, env }: {
    folder: string;
    port: number;
    command: string;
    args: string[];
    env?: Record<string, string>;
  },
): Promise<Running> {
  const logFile = join(folder, "server.log");
  const log = prepareLog(logFile, undefined);
  const server = await startTied({
    command,
    args,
    cwd: PROJECT_FOLDER,
    logFile,
    ...(env && { env }),
  });
  const url = `http://127.0.0.1:${port}`;
  while (!await responses(`${url}/api/health`)) {
    if (!isRunning(server.pid)) {
      throw new Error(`${[command, ...args].join(" ")} could not start: ${log.since()}`);
    }
    await delay(5);
  }
  return {
    pid: server.pid,
    url,
    async [Symbol.asyncDispose]() {
      await stopProcess(server.pid, 5_000);
      await ended(server);
    },
  };
}

async function responses(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}
