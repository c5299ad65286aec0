/**
 * What the gateway adds to a request, compared with other forwarders in front of the same server.
 *
 * @module
 */

import { join } from "node:path";
import { migrate } from "../../db/migrate.ts";
import { freePort } from "../../dev/free_port.ts";
import { startPostgres } from "../../dev/postgres.ts";
import { type Running, startServer } from "../../bench/servers.ts";
import { machineTime, residentMb, treeCpuSeconds } from "../../bench/process_cost.ts";
import { findProgram } from "../../bench/program.ts";
import type { Study, StudyOptions } from "../../bench/study.ts";
import { inDigits, markdownTable, median, ratioText, spreadOf } from "../../bench/table.ts";
import project from "../../deno.json" with { type: "json" };
import { requestLines } from "../../bench/workloads.ts";
import { CONNECTIONS, runWrk } from "../../bench/wrk.ts";

const SECONDS = 5;
const WARM_UP_SECONDS = 2;

/** One forwarder for some seconds. */
export interface ForwarderRun {
  readonly forwarder: string;
  readonly round: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** On one connection, one request at a time. */
  readonly aloneP50Ms: number;
  /** Of the forwarder alone, for 1,000 requests. */
  readonly cpuSeconds: number;
  readonly residentMb: number;
}

interface Forwarder {
  readonly name: string;
  readonly title: string;
  /** Undefined when this machine lacks what it runs on. */
  start(options: StudyOptions, target: string): Promise<Running | undefined>;
}

const FORWARDERS: readonly Forwarder[] = [
  {
    name: "none",
    title: "the server itself, no forwarder",
    start: (_options, target) =>
      Promise.resolve({ pid: 0, url: target, [Symbol.asyncDispose]: () => Promise.resolve() }),
  },
  { name: "nginx", title: "nginx, one process a core", start: startNginx },
  { name: "fetch", title: "`Deno.serve` with `fetch`", start: startFetchForwarder },
  { name: "gateway", title: "gateway, every route `legacy`", start: startGateway },
];

/** Forwarders in turn, round after round, in front of a server that answers immediately. */
export const GATEWAY: Study = {
  name: "gateway",
  async run(options) {
    const { rounds, seconds = SECONDS, folder, wrk, say } = options;
    await using stack = new AsyncDisposableStack();
    const port = freePort();
    const server = stack.use(
      await startServer({
        folder,
        port,
        command: Deno.execPath(),
        args: ["run", "--quiet", "--allow-net", "bench/trace_sized_server.ts", String(port)],
      }),
    );
    const target = `http://127.0.0.1:${port}`;
    const requestFile = join(folder, "gateway.requests");
    const path = "/api/traceability/MIX-BATCH-88";
    await Deno.writeTextFile(requestFile, requestLines([{ method: "GET", path }]));
    const load = (url: string, seconds: number, connections = CONNECTIONS) =>
      runWrk({ wrk, url, requestFile, label: crypto.randomUUID(), seconds, connections });

    const field: { forwarder: Forwarder; running: Running }[] = [];
    for (const forwarder of FORWARDERS) {
      say(`Starting: ${forwarder.title}`);
      const own = join(folder, forwarder.name);
      await Deno.mkdir(own);
      const running = await forwarder.start({ ...options, folder: own }, target);
      if (running === undefined) continue;
      field.push({ forwarder, running: stack.use(running) });
      await load(running.url, WARM_UP_SECONDS);
    }

    const runs: ForwarderRun[] = [];
    const takenByOthers: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      for (const { forwarder: { name, title }, running: { pid, url } } of field) {
        say(`Round ${round} of ${rounds}: ${title}`);
        const alone = await load(url, Math.max(1, Math.round(seconds / 2)), 1);
        const before = await spent(pid, server.pid);
        const { requests, refused, broken, ...ofLoad } = await load(url, seconds);
        const after = await spent(pid, server.pid);
        if (requests === 0 || refused > 0 || broken > 0) {
          throw new Error(`${title}: of ${requests} answers ${refused} refused, ${broken} broken`);
        }
        runs.push({
          forwarder: name,
          round,
          requestsPerSecond: requests / ofLoad.seconds,
          p50Ms: ofLoad.p50Ms,
          p99Ms: ofLoad.p99Ms,
          aloneP50Ms: alone.p50Ms,
          cpuSeconds: (after.forwarder - before.forwarder) * 1_000 / requests,
          residentMb: pid === 0 ? 0 : await residentMb(pid),
        });
        takenByOthers.push((after.others - before.others) / (after.all - before.all));
      }
    }
    return { text: forwarderTable(runs), figures: { seconds, runs }, takenByOthers };
  },
};

/** One line for each forwarder; ratios are to nginx, of the same round. */
export function forwarderTable(runs: readonly ForwarderRun[]): string {
  const head = [
    "",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "p50 ms, one connection",
    "more than the server",
    "CPU s / 1,000",
    "memory MB",
  ];
  const of = (name: string) => runs.filter(({ forwarder }) => forwarder === name);
  const rows = FORWARDERS.flatMap(({ name, title }) => {
    const own = of(name);
    if (own.length === 0) return [];
    const middle = (figure: Exclude<keyof ForwarderRun, "forwarder">) =>
      median(own.map((run) => run[figure]));
    const nginx = spreadOf(own.flatMap((run) => {
      const other = of("nginx").find(({ round }) => round === run.round);
      return other === undefined ? [] : [run.requestsPerSecond / other.requestsPerSecond];
    }));
    const added = median(own.flatMap((run) => {
      const direct = of("none").find(({ round }) => round === run.round);
      return direct === undefined ? [] : [run.aloneP50Ms - direct.aloneP50Ms];
    }));
    return [[
      title,
      inDigits(middle("requestsPerSecond"), 0) + (nginx ? ` · ${ratioText(nginx)}` : ""),
      middle("p50Ms").toFixed(2),
      middle("p99Ms").toFixed(1),
      middle("aloneP50Ms").toFixed(3),
      name === "none" ? "" : `${added.toFixed(3)} ms`,
      name === "none" ? "" : middle("cpuSeconds").toFixed(3),
      name === "none" ? "" : middle("residentMb").toFixed(0),
    ]];
  });
  return markdownTable(head, rows);
}

/** Seconds of processor time so far: of the forwarder, and of unrelated processes. */
async function spent(forwarderPid: number, serverPid: number) {
  const forwarder = forwarderPid === 0 ? 0 : await treeCpuSeconds(forwarderPid);
  const server = await treeCpuSeconds(serverPid);
  const { all, idle, own } = await machineTime();
  return { forwarder, all, others: all - idle - own - server - forwarder };
}

function startFetchForwarder({ folder }: StudyOptions, target: string): Promise<Running> {
  const port = freePort();
  const script = "cutover/bench/fetch_forwarder.ts";
  const args = ["run", "--quiet", "--allow-net", script, String(port), target];
  return startServer({ folder, port, command: Deno.execPath(), args });
}

async function startNginx(
  { folder, say }: StudyOptions,
  target: string,
): Promise<Running | undefined> {
  const packages = ["nginx-light"];
  const nginx = await findProgram({ name: "nginx", title: "nginx", packages }, say);
  if (nginx === undefined) return undefined;
  const port = freePort();
  const configuration = join(folder, "nginx.conf");
  await Deno.writeTextFile(configuration, nginxConfiguration(folder, port, target));
  const args = ["-c", configuration, "-p", folder, "-e", join(folder, "error.log")];
  return await startServer({ folder, port, command: nginx, args });
}

/**
 * It forwards as the gateway does: persistent connections on both sides, the same headers, a log
 * line.
 */
function nginxConfiguration(folder: string, port: number, target: string): string {
  return `
daemon off;
worker_processes auto;
pid ${folder}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log ${folder}/access.log combined buffer=64k;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  upstream server { server ${new URL(target).host}; keepalive 64; }
  server {
    listen 127.0.0.1:${port};
    keepalive_requests 1000000;
    location / {
      proxy_pass http://server;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Request-Id $request_id;
    }
  }
}
`;
}

async function startGateway({ folder }: StudyOptions, target: string): Promise<Running> {
  await using stack = new AsyncDisposableStack();
  const postgres = stack.use(
    await startPostgres({ major: 17, dataDir: join(folder, "postgres") }),
  );
  await migrate(postgres.url, () => {});
  const [port, adminPort] = [freePort(), freePort()];
  const [, ...args] = project.tasks.gateway.command.split(" ");
  const gateway = stack.use(
    await startServer({
      folder,
      port,
      command: Deno.execPath(),
      args,
      env: {
        GATEWAY_PORT: String(port),
        GATEWAY_ADMIN_PORT: String(adminPort),
        LEGACY_URL: target,
        // No request goes there in this mode, but it must be another address.
        SERVICE_URL: target.replace("127.0.0.1", "localhost"),
        DATABASE_URL: postgres.url,
        GATEWAY_ADMIN_TOKEN: "of_this_benchmark",
        DRY_RUN_SECRET: "a_secret_of_this_benchmark_alone",
      },
    }),
  );
  const parts = stack.move();
  return { ...gateway, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}
