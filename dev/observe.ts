/**
 * Prometheus and Alertmanager beside processes of this machine, with the files of `deploy/observe/`.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { delay } from "../timing.ts";
import type { DebianProgram } from "./debian_packages.ts";
import { freePort } from "./free_port.ts";
import type { ObservePrograms } from "./observe_programs.ts";
import { logTail, prepareLog } from "./server_log.ts";
import { makeReachableFolder, serverUser } from "./state_folder.ts";
import { ended, isRunning, startTied, stopProcess } from "./tied_process.ts";

/** The folder with the shipped files. */
export const OBSERVE_FOLDER = fileURLToPath(new URL("../deploy/observe/", import.meta.url));

/** Running programs. Disposing stops them. */
export interface Observers extends AsyncDisposable {
  readonly prometheusUrl: string;
  readonly alertmanagerUrl: string;
  /** What ended by itself, with its last output. */
  problem(): string | undefined;
}

interface Options {
  readonly programs: Pick<ObservePrograms, "prometheus" | "alertmanager">;
  /** Takes the configuration, the data and the logs. */
  readonly folder: string;
  /** Where each job of prometheus.yml is scraped, such as `127.0.0.1:9464`; the others are left out. */
  readonly targets: Readonly<Record<string, readonly string[]>>;
  /** How often it scrapes and computes rules; 15 s unless given. */
  readonly intervalSeconds?: number;
  /** Changes the text of a file of rules; as shipped unless given. */
  readonly editRules?: (text: string) => string;
  /** What is told of alerts; nobody unless given. */
  readonly webhookUrl?: string;
  /** How long a message waits for more alerts; as shipped unless given. */
  readonly groupWait?: string;
}

const STOP_MS = 10_000;

const PrometheusConfig = z.looseObject({
  global: z.looseObject({}),
  scrape_configs: z.array(z.looseObject({ job_name: z.string() })),
});
const AlertmanagerConfig = z.looseObject({
  route: z.looseObject({ routes: z.array(z.looseObject({})) }),
});

/** Starts both; resolves when they respond. @throws Error with the last output when one can't start */
export async function startObservers(options: Options): Promise<Observers> {
  const { programs, folder } = options;
  const user = serverUser();
  makeReachableFolder(folder);
  await copyRules(join(folder, "rules"), options.editRules);
  const [prometheusPort, alertmanagerPort] = [freePort(), freePort()];
  const configs = {
    "prometheus.yml": await prometheusConfig(options, prometheusPort, alertmanagerPort),
    "alertmanager.yml": await alertmanagerConfig(options),
    "webhook-url": options.webhookUrl ?? await readShipped("no-webhook"),
  };
  for (const [name, text] of Object.entries(configs)) {
    await Deno.writeTextFile(join(folder, name), text);
  }
  if (user) await Deno.chown(folder, user.uid, user.gid);
  await using started = new AsyncDisposableStack();
  const start = async (name: string, program: DebianProgram, port: number, args: string[]) =>
    started.use(await startServer({ name, program, port, args, folder }));
  const servers = [
    await start("alertmanager", programs.alertmanager, alertmanagerPort, [
      `--config.file=${join(folder, "alertmanager.yml")}`,
      `--storage.path=${join(folder, "alertmanager")}`,
      "--cluster.listen-address=",
    ]),
    await start("prometheus", programs.prometheus, prometheusPort, [
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "prometheus")}`,
      "--storage.tsdb.retention.time=30d",
      "--storage.tsdb.retention.size=1GB",
    ]),
  ];
  const running = started.move();
  return {
    prometheusUrl: `http://127.0.0.1:${prometheusPort}`,
    alertmanagerUrl: `http://127.0.0.1:${alertmanagerPort}`,
    problem: () => servers.map(({ problem }) => problem()).find((found) => found !== undefined),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

const readShipped = (name: string) => Deno.readTextFile(join(OBSERVE_FOLDER, name));

/** Copies them, since the servers' user may be unable to enter the project. */
async function copyRules(folder: string, edit = (text: string) => text): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  await Deno.mkdir(folder);
  for await (const { name } of Deno.readDir(join(OBSERVE_FOLDER, "rules"))) {
    await Deno.writeTextFile(join(folder, name), edit(await readShipped(join("rules", name))));
  }
}

/** The shipped configuration, with the addresses of this machine. */
async function prometheusConfig(
  { targets, intervalSeconds }: Options,
  ownPort: number,
  alertmanagerPort: number,
): Promise<string> {
  const shipped = PrometheusConfig.parse(parse(await readShipped("prometheus.yml")));
  const alertmanager = [`127.0.0.1:${alertmanagerPort}`];
  const addresses: typeof targets = {
    prometheus: [`127.0.0.1:${ownPort}`],
    alertmanager,
    ...targets,
  };
  const interval = intervalSeconds && `${intervalSeconds}s`;
  return stringify({
    ...shipped,
    global: {
      ...shipped.global,
      ...interval && {
        scrape_interval: interval,
        scrape_timeout: interval,
        evaluation_interval: interval,
      },
    },
    alerting: { alertmanagers: [{ static_configs: [{ targets: alertmanager }] }] },
    scrape_configs: shipped.scrape_configs.flatMap(
      ({ dns_sd_configs: _names, static_configs: _addresses, ...job }) => {
        const own = addresses[job.job_name];
        return own === undefined ? [] : [{ ...job, static_configs: [{ targets: own }] }];
      },
    ),
  });
}

/** The shipped configuration, with the receiver of this folder. */
async function alertmanagerConfig({ folder, groupWait }: Options): Promise<string> {
  const text = (await readShipped("alertmanager.yml"))
    .replace("/run/secrets/alert_webhook_url", join(folder, "webhook-url"));
  if (groupWait === undefined) return text;
  const shipped = AlertmanagerConfig.parse(parse(text));
  const sooner = { group_wait: groupWait, group_interval: groupWait };
  const routes = shipped.route.routes.map((route) => ({ ...route, ...sooner }));
  return stringify({ ...shipped, route: { ...shipped.route, ...sooner, routes } });
}

interface Server extends AsyncDisposable {
  problem(): string | undefined;
}

interface ServerOptions {
  readonly name: string;
  readonly program: DebianProgram;
  readonly port: number;
  readonly args: readonly string[];
  readonly folder: string;
}

/**
 * Starts a server with its web pages on a port; resolves when it is ready. One of a killed run, which
 * ends within seconds, is waited for.
 */
async function startServer(options: ServerOptions): Promise<Server> {
  for (let tries = 1;; tries++) {
    try {
      return await startOnce(options);
    } catch (error) {
      if (tries === 30 || !String(error).includes("lock DB directory")) throw error;
      await delay(1_000);
    }
  }
}

async function startOnce({ name, program, port, args, folder }: ServerOptions): Promise<Server> {
  const user = serverUser();
  const logFile = join(folder, `${name}.log`);
  const log = prepareLog(logFile, user);
  const server = await startTied({
    command: program.command,
    args: [...program.args, ...args, `--web.listen-address=127.0.0.1:${port}`],
    cwd: program.cwd ?? folder,
    logFile,
    user,
  });
  const problem = () =>
    isRunning(server.pid)
      ? undefined
      : `${name} has ended. Its last output:\n${logTail(log.since())}`;
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/-/ready`).catch(() => undefined);
    await response?.body?.cancel();
    const found = problem();
    if (found !== undefined) throw new Error(found);
    if (response?.ok) break;
    await delay(50);
  }
  return {
    problem,
    async [Symbol.asyncDispose]() {
      await stopProcess(server.pid, STOP_MS);
      await ended(server);
    },
  };
}
