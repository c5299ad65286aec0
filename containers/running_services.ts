/**
 * Runs the project's services without a container engine, which no tool does. compose.yaml and the
 * Dockerfile are taken at their word: the image becomes a folder with what COPY names and the packages
 * that RUN fetches, and each of our services becomes a process with its own command and environment,
 * which is the first of its container and belongs to a user without a name.
 *
 * @module
 */
import { notStrictEqual, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import postgresClient from "postgres";
import { connect } from "../db/connect.ts";
import type { Sql } from "../db/sql.ts";
import { freePort } from "../dev/free_port.ts";
import { startPostgres } from "../dev/postgres.ts";
import { startValkey } from "../dev/valkey.ts";
import { confineToAnyUser, hasAnyUser } from "./any_user.ts";
import { layOut } from "./dockerfile.ts";
import { PROJECT, type Project } from "./project.ts";
import {
  type Outcome,
  runToEnd,
  type ServiceProcess,
  startProcess,
  untilHealthy,
} from "./service_process.ts";

export interface RunningServices {
  /** The folder that is the image's working directory. */
  readonly app: string;
  /** The database that compose.yaml names. */
  readonly sql: Sql;
  readonly processes: ReadonlyMap<string, ServiceProcess>;
  /** Where a service's port is on this machine. */
  urlOf(service: string, port: number): string;
  /** What a service's health check says now. */
  healthOf(name: string): Promise<Outcome>;
}

export interface RunOptions {
  /** Settings besides those of compose.yaml, by service. */
  readonly environment?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Other hosts, and which service's port they stand for: `{ "old-server:3001": "api:3001" }`. */
  readonly hosts?: Readonly<Record<string, string>>;
}

/**
 * Builds the image and starts these services in their order, with those that they depend on; each
 * start is a step of the test. What runs ends with the stack.
 */
export async function startServices(
  t: Deno.TestContext,
  stack: AsyncDisposableStack,
  project: Project,
  names: readonly string[],
  { environment = {}, hosts = {} }: RunOptions = {},
): Promise<RunningServices> {
  const root = stack.adopt(
    await Deno.makeTempDir(),
    (path) => Deno.remove(path, { recursive: true }),
  );
  const { app, denoDir } = await buildImage(project, root);
  const keys = join(root, "keys");
  const confinement = await confineToAnyUser(root, keys);
  await makeKeysFolder(project, keys);
  const order = project.startingOrderOf(names);
  const environments = new Map(
    order.map((name) => [name, { ...project.environmentOf(name), ...environment[name] }]),
  );
  const { ports, sql } = await startServers(stack, root, project);
  for (const [name, own] of environments) {
    for (const [setting, port] of Object.entries(own)) {
      const address = `${hostOf(project, name)}:${port}`;
      // The image's PORT is everyone's, and who shares a network sets the same one.
      if (isPort(setting) && !ports.has(address)) ports.set(address, freePort());
    }
  }
  for (const [host, meant] of Object.entries(hosts)) ports.set(host, portOf(ports, meant));

  const localOf = (name: string, setting: string, value: string): string => {
    const host = hostOf(project, name);
    if (setting === "HOST") return "127.0.0.1";
    if (isPort(setting)) return String(portOf(ports, `${host}:${value}`));
    return value.replace(/^\/keys\//, `${keys}/`).replace(
      /([\w.-]+):(\d+)/g,
      (found, named: string, port: string) => {
        const local = ports.get(`${named === "127.0.0.1" ? host : named}:${port}`);
        return local === undefined ? found : `127.0.0.1:${local}`;
      },
    );
  };
  const surroundings = (name: string) => {
    const own = Object.entries(environments.get(name) ?? {});
    const local = own.map(([setting, value]) => [setting, localOf(name, setting, value)]);
    const env: Record<string, string> = Object.fromEntries(local);
    // Without a Valkey on this machine.
    if (!ports.has("valkey:6379")) delete env.VALKEY_URL;
    // What the image lacks can't be fetched later either: nothing listens there.
    return {
      cwd: app,
      // A user without a name has no home either.
      env: { ...env, DENO_DIR: denoDir, HTTPS_PROXY: "http://127.0.0.1:9", HOME: "/" },
      ...confinement && { confinement },
    };
  };
  const healthOf = (name: string) => runToEnd(project.healthcheckOf(name), surroundings(name));

  const processes = new Map<string, ServiceProcess>();
  for (const name of order) {
    const service = project.serviceNamed(name);
    if (service.build === undefined) continue;
    const command = [...project.image.entrypoint, ...(service.command ?? project.image.cmd)];
    const start = () => {
      const process = stack.use(startProcess(command, surroundings(name)));
      processes.set(name, process);
      return process;
    };
    if (project.isOneShot(name)) {
      await t.step(`${name} does its work and ends, a second time too`, async () => {
        for (const _ of [1, 2]) {
          const { code, output } = await runToEnd(command, surroundings(name));
          strictEqual(code, 0, output);
        }
      });
    } else if (service.healthcheck?.disable) start();
    else {
      await t.step(`${name} gets healthy`, async () => {
        notStrictEqual((await healthOf(name)).code, 0, "healthy before it runs");
        await untilHealthy(start(), () => healthOf(name));
      });
    }
  }
  const urlOf = (name: string, port: number) =>
    `http://127.0.0.1:${portOf(ports, `${hostOf(project, name)}:${port}`)}`;
  return { app, sql, processes, urlOf, healthOf };
}

const isPort = (setting: string) => /(?:^|_)PORT$/.test(setting);

/** Ports on this machine, by host and port among the containers. */
type Ports = Map<string, number>;

function portOf(ports: Ports, address: string): number {
  const port = ports.get(address);
  if (port === undefined) throw new Error(`No service listens at ${address}`);
  return port;
}

/** The host that a service listens on: its own, or that whose network it shares. */
function hostOf(project: Project, name: string): string {
  return /^service:(.*)$/.exec(project.serviceNamed(name).network_mode ?? "")?.[1] ?? name;
}

/** Does here what the Dockerfile does, but for what only a container has (folders in /). */
async function buildImage(
  { image }: Project,
  root: string,
): Promise<{ app: string; denoDir: string }> {
  const app = join(root, "app");
  const denoDir = join(root, "deno-dir");
  layOut(image, PROJECT, await Deno.readTextFile(join(PROJECT, ".dockerignore")), app);
  const env = { ...Deno.env.toObject(), DENO_DIR: denoDir };
  for (const run of image.runs.filter(([program]) => program === "deno")) {
    const { code, output } = await runToEnd(run, { cwd: app, env });
    strictEqual(code, 0, output);
  }
  return { app, denoDir };
}

/** The folder /keys, with the owner, the group and the mode that the Dockerfile gives it. */
async function makeKeysFolder({ image }: Project, keys: string): Promise<void> {
  const made = image.runs.find(([program, ...args]) =>
    program === "install" && args.at(-1) === "/keys"
  );
  if (made === undefined) throw new Error("The Dockerfile makes no /keys");
  // Only root can give it to another user.
  const command = hasAnyUser ? [...made.slice(0, -1), keys] : ["mkdir", keys];
  const { code, output } = await runToEnd(command, { cwd: "/", env: {} });
  strictEqual(code, 0, output);
}

/** PostgreSQL, with the database that compose.yaml names, and Valkey if this machine has it. */
async function startServers(
  stack: AsyncDisposableStack,
  root: string,
  project: Project,
): Promise<{ ports: Ports; sql: Sql }> {
  const postgres = stack.use(
    await startPostgres({ major: 17, dataDir: join(root, "pg"), settings: { fsync: "off" } }),
  );
  const valkey = await startValkey({ dir: join(root, "valkey") });
  if (valkey) stack.use(valkey);
  const { POSTGRES_USER: user, POSTGRES_DB: database, POSTGRES_PASSWORD: password } =
    project.serviceNamed("postgres").environment;
  const admin = postgresClient(postgres.url, { max: 1 });
  await admin.unsafe(`create role ${user} superuser login password '${password}'`);
  await admin.unsafe(`create database ${database} owner ${user}`);
  await admin.end();
  const url = Object.assign(new URL(postgres.url), { pathname: `/${database}` }).href;
  const sql = stack.adopt(connect({ url, max: 1 }), (sql) => sql.end({ timeout: 1 }));
  const ports: Ports = new Map([["postgres:5432", postgres.port]]);
  if (valkey) ports.set("valkey:6379", valkey.port);
  return { ports, sql };
}
