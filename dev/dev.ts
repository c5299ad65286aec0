/**
 * `deno task dev`: the whole system on this machine with no settings, until Ctrl-C.
 *
 * Optional settings: `PORT` (8000), `LOTLINE_DATA` (the state folder), `--verbose` (shows the API's
 * log). `--observe` also starts Prometheus and Alertmanager. `--cutover` also starts the task
 * `practice`: an old server and a gateway to practise with. An API that ends is then started again.
 * `--break OPERATION` plants a fault there.
 *
 * @module
 */

import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { createKeyFile } from "../auth/keys.ts";
import { migrate } from "../db/migrate.ts";
import { linkTarget } from "../link_target.ts";
import { delay } from "../timing.ts";
import { startApi } from "./api_process.ts";
import { fillDemoPlant } from "./demo_plant.ts";
import { claimFolder, FolderTakenError } from "./folder_claim.ts";
import { freePort, freePortAfter, isTaken, PortTakenError } from "./free_port.ts";
import { greeting } from "./greeting.ts";
import { metricsPorts, metricsSetting, startDevObservers } from "./dev_observers.ts";
import type { Observers } from "./observe.ts";
import { findObservePrograms } from "./observe_programs.ts";
import { type PostgresServer, startPostgres } from "./postgres.ts";
import { type RestartedService, startRestarted } from "./restarted_service.ts";
import { type ServiceProcess, startService, stopLeftOver } from "./service_process.ts";
import { makeReachableFolder, PROJECT_FOLDER, serverUser, stateFolder } from "./state_folder.ts";
import { endWithTask } from "./task_parent.ts";
import { isRunning } from "./tied_process.ts";
import { startValkey } from "./valkey.ts";
import { answerHelp } from "../task_help.ts";

/** The task that `--cutover` starts, and the output that shows that it is ready. */
const PRACTICE = "practice";
const PRACTICE_READY = "Practise a cutover";

const say = (line: string) => console.log(`- ${line}`);

if (import.meta.main) {
  answerHelp({
    task: "dev",
    args: "[--cutover] [--observe] [--verbose]",
    notes: `  --cutover   also an old server and a gateway, to practise a cutover
  --observe   also Prometheus and Alertmanager, which read the processes' metrics
  --verbose   shows the API's log
PORT takes another port than 8000, and LOTLINE_DATA another folder for its data.`,
  });
  const running = new AsyncDisposableStack();
  const isStopping = endWithSignals(running);
  await endWithTask(() => Deno.kill(Deno.pid, "SIGTERM"));
  try {
    await run(running, {
      verbose: Deno.args.includes("--verbose"),
      cutover: Deno.args.includes("--cutover"),
      observe: Deno.args.includes("--observe"),
      fault: faultIn(Deno.args),
      isStopping,
    });
  } catch (error) {
    // A part that is stopped during its start fails; the stop itself ends this process.
    if (!isStopping()) {
      console.error(error instanceof Error ? error.message : error);
      await running.disposeAsync();
      Deno.exit(1);
    }
  }
}

/** The fault that `--break` names, without `=` or with it; undefined: none. */
function faultIn(args: readonly string[]): string | undefined {
  const at = args.findIndex((arg) => arg === "--break" || arg.startsWith("--break="));
  if (at < 0) return undefined;
  if (!args.includes("--cutover")) {
    console.error("--break plants a fault in a practice: add --cutover");
    Deno.exit(2);
  }
  const [, text = args[at + 1] ?? ""] = /^--break=(.*)$/.exec(args[at] ?? "") ?? [];
  return text;
}

/** Starts everything, and returns only by throwing. Each part is added to `running`. */
async function run(
  running: AsyncDisposableStack,
  { verbose, cutover, observe, fault, isStopping }: {
    verbose: boolean;
    cutover: boolean;
    observe: boolean;
    fault: string | undefined;
    isStopping: () => boolean;
  },
): Promise<never> {
  const began = performance.now();
  const state = await openStateFolder(running);
  const files = {
    api: join(state, "api.pid"),
    worker: join(state, "worker.pid"),
    practice: join(state, "practice.pid"),
    keys: join(state, "keys.json"),
    apiLog: join(state, "logs", "api.log"),
    workerLog: join(state, "logs", "worker.log"),
    practiceLog: join(state, "logs", "practice.log"),
  };
  await Deno.mkdir(join(state, "logs"), { recursive: true });
  await stopLeftOver("start", files.api);
  await stopLeftOver("worker", files.worker);
  if (cutover) await stopLeftOver(PRACTICE, files.practice);
  const port = choosePort(Deno.env.get("PORT"));
  // First, since it fails on a machine that can't have them.
  const programs = observe ? await findObservePrograms(say) : undefined;
  const metrics = programs && metricsPorts(cutover);

  const database = running.use(await startDatabase(state));
  const valkey = await startValkey({ dir: join(state, "valkey"), progress: say });
  if (valkey) running.use(valkey);
  const databaseUrl = await openDatabase(database);
  await migrateQuietly(databaseUrl);
  await fill(databaseUrl);
  await makeKeys(files.keys);

  say("Starting the API and a worker");
  const dryRunSecret = cutover ? crypto.randomUUID().replaceAll("-", "") : undefined;
  const shared = { DATABASE_URL: databaseUrl, ...(valkey && { VALKEY_URL: valkey.url }) };
  const begin = await sizeOf(files.apiLog);
  const start = () =>
    startApi({
      port,
      env: {
        ...shared,
        AUTH_MODE: "legacy",
        JWT_KEYS_FILE: files.keys,
        ...metricsSetting(metrics, "lotline-api"),
        ...dryRunSecret && { DRY_RUN_SECRET: dryRunSecret },
      },
      logFile: files.apiLog,
      pidFile: files.api,
    });
  // In a practice its death is one of the things to try.
  const api = running.use(cutover ? await startRestarted(start) : await start());
  const worker = running.use(
    await startService({
      name: "worker",
      task: "worker",
      env: { ...shared, ...metricsSetting(metrics, "lotline-worker") },
      logFile: files.workerLog,
      pidFile: files.worker,
      isReady: (log) => log.includes('"event":"working"'),
    }),
  );
  const services: (ServiceProcess | RestartedService)[] = [api, worker];
  if (dryRunSecret) {
    const practice = await startService({
      name: "practice of a cutover",
      task: PRACTICE,
      env: {
        DATABASE_URL: databaseUrl,
        SERVICE_URL: `http://127.0.0.1:${port}`,
        DRY_RUN_SECRET: dryRunSecret,
        LOTLINE_DATA: state,
        ...metricsSetting(metrics, "lotline-gateway"),
        ...fault !== undefined && { PRACTICE_BREAK: fault },
      },
      logFile: files.practiceLog,
      pidFile: files.practice,
      isReady: (log) => log.includes(PRACTICE_READY),
    });
    services.push(running.use(practice));
  }
  const observers = programs && metrics &&
    running.use(await startDevObservers(programs, metrics, state));
  say(`Ready after ${((performance.now() - began) / 1000).toFixed(1)} s`);
  console.log(greeting({
    api: `http://127.0.0.1:${port}`,
    database: databaseUrl,
    valkey: valkey?.url,
    stateFolder: state,
    apiLog: files.apiLog,
    workerLog: files.workerLog,
    observers,
    metrics,
  }));
  const shown = verbose ? { file: files.apiLog, begin } : undefined;
  if (cutover) console.log(await Deno.readTextFile(files.practiceLog));
  return await watch({ services, database, observers, log: shown, isStopping });
}

/** Claims the state folder for this run. */
async function openStateFolder(running: AsyncDisposableStack): Promise<string> {
  const state = stateFolder();
  makeReachableFolder(state);
  if (state.startsWith("/var/lib/lotline")) {
    say(`The user ${serverUser()?.name}, who runs the database, can't enter ${PROJECT_FOLDER}:`);
    say(`the data lives in ${state}`);
  }
  const pidFile = join(state, "dev.pid");
  try {
    running.use(await claimFolder(join(state, "dev")));
  } catch (error) {
    if (!(error instanceof FolderTakenError)) throw error;
    const pid = await Deno.readTextFile(pidFile).catch(() => "unknown");
    throw new Error(
      `Another \`deno task dev\` is running on ${state} (process ${pid}).\n` +
        "Stop that one first, or choose another folder and another port: " +
        `LOTLINE_DATA=${join(tmpdir(), `lotline-${Deno.pid}`)} PORT=0 deno task dev`,
    );
  }
  await Deno.writeTextFile(pidFile, String(Deno.pid));
  return state;
}

function choosePort(wanted: string | undefined): number {
  if (!wanted) wanted = "8000";
  if (!/^\d{1,5}$/.test(wanted) || Number(wanted) > 65_535) {
    throw new Error(`PORT is to be a number from 0 (any free one) to 65535`);
  }
  const port = Number(wanted) || freePort();
  if (!isTaken(port)) return port;
  throw new Error(
    `Port ${port} is in use by another program. Choose another: PORT=${
      freePortAfter(port)
    } deno task dev`,
  );
}

/** Starts PostgreSQL on the port of the last run, so that saved connections keep working. */
async function startDatabase(state: string): Promise<PostgresServer> {
  const portFile = join(state, "postgres.port");
  const remembered = Number(await Deno.readTextFile(portFile).catch(() => "")) || 0;
  const options = { major: 17, dataDir: join(state, "postgres-17"), progress: say } as const;
  say("Starting PostgreSQL 17");
  const server = await startPostgres({ ...options, port: remembered }).catch((error) => {
    if (error instanceof PortTakenError) return startPostgres(options);
    throw error;
  });
  await Deno.writeTextFile(portFile, String(server.port));
  return server;
}

/** Makes the database if it is missing, and returns its address. */
async function openDatabase({ url }: PostgresServer): Promise<string> {
  const sql = postgres(url, { max: 1 });
  try {
    const [found] = await sql`select from pg_database where datname = 'lotline'`;
    if (found === undefined) await sql`create database lotline`;
  } finally {
    await sql.end();
  }
  return Object.assign(new URL(url), { pathname: "/lotline" }).href;
}

/** Migrates, and shows waits as they come, but one line for all migrations. */
async function migrateQuietly(databaseUrl: string): Promise<void> {
  let applied = 0;
  await migrate(databaseUrl, (line) => {
    if (line.includes(": done in ")) applied++;
    else say(line);
  });
  if (applied > 0) say(`The tables are up to date: ${applied} migrations applied`);
}

async function fill(databaseUrl: string): Promise<void> {
  const sql = postgres(databaseUrl, { max: 1 });
  try {
    await fillDemoPlant(sql, new Date(), say);
  } finally {
    await sql.end();
  }
}

async function makeKeys(path: string): Promise<void> {
  if (await sizeOf(path) > 0) return;
  say("Making signing keys for login tokens");
  // Under a temporary name first, so that an existing file is complete. A link stays: its target is
  // replaced.
  const target = await linkTarget(path);
  await Deno.remove(`${target}.new`).catch(() => {});
  await createKeyFile(`${target}.new`);
  await Deno.rename(`${target}.new`, target);
}

/** Waits until a part ends unexpectedly. With a log, shows new lines of it. */
async function watch(
  { services, database, observers, log, isStopping }: {
    services: readonly (ServiceProcess | RestartedService)[];
    database: PostgresServer;
    observers: Observers | undefined;
    log: { file: string; begin: number } | undefined;
    isStopping: () => boolean;
  },
): Promise<never> {
  for (;;) {
    const problem = observers?.problem();
    if (problem !== undefined) throw new Error(problem);
    if (log) log.begin = await show(log.file, log.begin);
    for (const service of services) {
      const { name, pid, logTail } = service;
      if (isRunning(pid)) continue;
      if (!("restart" in service) || isStopping()) {
        throw new Error(`The ${name} ended by itself. The last lines of its log:\n${logTail()}`);
      }
      say(`The ${name} (process ${pid}) ended by itself: starting it again`);
      await service.restart();
      say(`The ${name} runs again (process ${service.pid})`);
    }
    if (!isRunning(database.pid)) {
      throw new Error(`PostgreSQL ended by itself. Its log: ${database.dataDir}.log`);
    }
    await delay(250);
  }
}

async function show(path: string, from: number): Promise<number> {
  using file = await Deno.open(path);
  await file.seek(from, Deno.SeekMode.Start);
  const bytes = new Uint8Array(64 * 1024);
  const length = await file.read(bytes) ?? 0;
  Deno.stdout.writeSync(bytes.subarray(0, length));
  return from + length;
}

async function sizeOf(path: string): Promise<number> {
  return await Deno.stat(path).then(({ size }) => size, () => 0);
}

/** Lets Ctrl-C and other signals stop the parts in turn; exit code 0, since that is no failure. */
function endWithSignals(running: AsyncDisposableStack): () => boolean {
  let since: number | undefined;
  const stop = async () => {
    // `deno task` passes on a Ctrl-C that the terminal has sent to us as well: that is not a second
    // one.
    if (since !== undefined && performance.now() - since > 1_000) Deno.exit(0);
    if (since !== undefined) return;
    since = performance.now();
    console.log("\nStopping");
    await running.disposeAsync();
    Deno.exit(0);
  };
  const signals: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT", "SIGBREAK"]
    : ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) Deno.addSignalListener(signal, stop);
  return () => since !== undefined;
}
