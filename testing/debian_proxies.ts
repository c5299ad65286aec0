import { join } from "node:path";
import { logTail, prepareLog } from "../dev/server_log.ts";
import { openForServers, serverUser } from "../dev/state_folder.ts";
import { ended, isRunning, startTied, stopProcess } from "../dev/tied_process.ts";
import type { Certificate } from "./certificates.ts";
import { giveToServer } from "./certificates.ts";
import { type DebianProgram, debianProgram } from "../dev/debian_packages.ts";
import { eventually } from "./eventually.ts";

/** nginx 1.22 or Caddy 2.6 of Debian 12, with the configuration of the folder `deploy/`. */
export interface Proxy extends AsyncDisposable {
  readonly port: number;
  log(): string;
}

interface Options {
  /** Of the two APIs. */
  readonly ports: readonly [number, number];
  readonly port: number;
  /** For localhost. */
  readonly certificate: Certificate;
}

const DEPLOY = new URL("../deploy/", import.meta.url);
const STOP_MS = 5_000;

/** Replaces each text, which must be there, so that the rest is what the page recommends. */
function replaced(text: string, changes: Readonly<Record<string, string>>): string {
  return Object.entries(changes).reduce((config, [from, to]) => {
    if (!config.includes(from)) throw new Error(`The configuration lacks ${from}`);
    return config.replaceAll(from, to);
  }, text);
}

export async function startNginx({ ports, port, certificate }: Options): Promise<Proxy> {
  const program = await debianProgram({
    name: "nginx",
    release: "bookworm",
    packages: ["nginx", "libc6", "libcrypt1", "libpcre2-8-0", "libssl3", "zlib1g"],
    path: "usr/sbin/nginx",
  });
  const shipped = await Deno.readTextFile(new URL("nginx.conf", DEPLOY));
  return await start("nginx.conf", program, (folder) => ["-p", folder, "-c", "nginx.conf"], {
    port,
    certificate,
    config: ({ folder, cert, key }) =>
      [
        "daemon off;",
        `pid ${folder}/nginx.pid;`,
        "error_log stderr warn;",
        "events { worker_connections 512; }",
        "http {",
        "access_log off;",
        ...["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
          .map((name) => `${name}_temp_path ${folder}/${name};`),
        replaced(shipped, {
          "/etc/lotline/tls/plant.crt": cert,
          "/etc/lotline/tls/plant.key": key,
          "listen 443 ssl http2;": `listen 127.0.0.1:${port} ssl http2;`,
          "  listen [::]:443 ssl http2;\n": "",
          "  listen 80;\n": `  listen unix:${folder}/http.sock;\n`,
          "  listen [::]:80;\n": "",
          "plant.example": "localhost",
          ":8001": `:${ports[0]}`,
          ":8002": `:${ports[1]}`,
        }),
        "}",
      ].join("\n"),
  });
}

export async function startCaddy({ ports, port, certificate }: Options): Promise<Proxy> {
  const program = await debianProgram({
    name: "caddy",
    release: "bookworm",
    packages: ["caddy", "libc6", "libzstd1"],
    path: "usr/bin/caddy",
  });
  const shipped = await Deno.readTextFile(new URL("Caddyfile", DEPLOY));
  return await start(
    "Caddyfile",
    program,
    () => ["run", "--config", "Caddyfile", "--adapter", "caddyfile"],
    {
      port,
      certificate,
      config: ({ cert, key }) =>
        `{\n\tadmin off\n\tauto_https off\n}\n` + replaced(shipped, {
          "/etc/lotline/tls/plant.crt": cert,
          "/etc/lotline/tls/plant.key": key,
          "plant.example {": `https://localhost:${port} {\n\tbind 127.0.0.1`,
          ":8001": `:${ports[0]}`,
          ":8002": `:${ports[1]}`,
        }),
    },
  );
}

async function start(
  configName: string,
  program: DebianProgram,
  argsIn: (folder: string) => readonly string[],
  { port, certificate, config }: {
    readonly port: number;
    readonly certificate: Certificate;
    config(files: { folder: string; cert: string; key: string }): string;
  },
): Promise<Proxy> {
  const folder = await Deno.makeTempDir({ prefix: "lotline-test-" });
  openForServers(folder);
  const [cert, key] = [join(folder, "plant.crt"), join(folder, "plant.key")];
  await Deno.copyFile(certificate.cert, cert);
  await Deno.copyFile(certificate.key, key);
  await giveToServer(key);
  await Deno.writeTextFile(join(folder, configName), config({ folder, cert, key }));
  const user = serverUser();
  if (user !== undefined) await Deno.chown(folder, user.uid, user.gid);
  const logFile = join(folder, "log");
  const log = prepareLog(logFile, user);
  const running = await startTied({
    command: program.command,
    args: [...program.args, ...argsIn(folder)],
    logFile,
    user,
    cwd: folder,
    // Caddy stores there what it has of a configuration.
    env: { HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder },
  });
  await eventually(`${configName} is in use`, async () => {
    if (!isRunning(running.pid)) throw new Error(`It could not start:\n${logTail(log.since())}`);
    try {
      using _connection = await Deno.connect({ hostname: "127.0.0.1", port });
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionRefused) return false;
      throw error;
    }
  });
  return {
    port,
    log: log.since,
    async [Symbol.asyncDispose]() {
      await stopProcess(running.pid, STOP_MS);
      await ended(running);
      await Deno.remove(folder, { recursive: true });
    },
  };
}
