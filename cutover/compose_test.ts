import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { confinementOf, FIRST_OF_ANY_USER, hasAnyUser } from "../containers/any_user.ts";
import { readServices } from "../containers/compose_file.ts";
import { type Project, projectForTests } from "../containers/project.ts";
import { startServices } from "../containers/running_services.ts";
import { readSettings } from "../config.ts";
import { mountSecret } from "../testing/mounted_secret.ts";
import { oldNames } from "../testing/settings.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { CalibrateSettings, CutoverSettings, GatewaySettings, ProbeSettings } from "./config.ts";

const SETTINGS = {
  POSTGRES_PASSWORD: "plantpassword",
  AUTH_MODE: "legacy",
  LEGACY_URL: "http://old-server:3001",
  GATEWAY_ADMIN_TOKEN: "token_of_the_gateway",
  DRY_RUN_SECRET: "a_secret_of_thirty_two_characters",
};
const GATEWAYS = { gateway: 8080, "gateway-to-practise": 8090 };

const project = await projectForTests(SETTINGS);
if (project) testProject(project);

function testProject(project: Project): void {
  Deno.test("the gateways' ports are published for this machine only", () => {
    // The practice gateway has no network of its own.
    const published = (name: string) =>
      project.serviceNamed(name).ports.map((port) =>
        `${port.host_ip}:${port.published}:${port.target}`
      );
    deepStrictEqual(published("api"), ["127.0.0.1:8000:8000", "127.0.0.1:8090:8090"]);
    deepStrictEqual(published("gateway"), ["127.0.0.1:8080:8080"]);
    for (const [name, port] of Object.entries(GATEWAYS)) {
      strictEqual(project.environmentOf(name).GATEWAY_PORT, String(port));
    }
  });

  Deno.test("the old server's stand-in starts by a profile, and only the API's network reaches it", () => {
    const legacy = project.serviceNamed("legacy");
    deepStrictEqual(legacy.profiles, ["side-by-side"]);
    strictEqual(legacy.network_mode, "service:api");
    strictEqual(legacy.depends_on.api?.condition, "service_healthy");
  });

  Deno.test("a gateway starts only by a profile", () => {
    deepStrictEqual(project.serviceNamed("gateway").profiles, ["cutover"]);
    const practice = project.serviceNamed("gateway-to-practise");
    deepStrictEqual([practice.profiles, practice.network_mode], [["side-by-side"], "service:api"]);
  });

  Deno.test("a gateway is in the network in which metrics are read and traces sent", () => {
    ok("telemetry" in (project.serviceNamed("gateway").networks ?? {}));
    for (const name of Object.keys(GATEWAYS)) {
      const { METRICS_HOST, OTEL_SERVICE_NAME } = project.environmentOf(name);
      deepStrictEqual([METRICS_HOST, OTEL_SERVICE_NAME], ["0.0.0.0", "lotline-gateway"], name);
    }
  });

  Deno.test("every command of the cutover has its settings in a gateway's container", () => {
    for (const [name, port] of Object.entries(GATEWAYS)) {
      const environment = project.environmentOf(name);
      for (const schema of [CutoverSettings, CalibrateSettings]) readSettings(schema, environment);
      const { GATEWAY_URL } = readSettings(ProbeSettings, environment);
      strictEqual(new URL(GATEWAY_URL).host, `127.0.0.1:${port}`);
    }
  });

  Deno.test("a gateway of compose.yaml without an old server names the missing setting", async () => {
    const environment = await gatewayWith({
      LEGACY_URL: "",
      GATEWAY_ADMIN_TOKEN: "",
      DRY_RUN_SECRET: "",
    });
    throws(
      () => readSettings(GatewaySettings, environment),
      /LEGACY_URL is missing[^]*GATEWAY_ADMIN_TOKEN is missing[^]*DRY_RUN_SECRET is missing/,
    );
  });

  Deno.test("compose.yaml passes old names of settings to the gateway, without defaults that override them", async () => {
    for (const [name, old] of Object.entries(oldNames(GatewaySettings))) {
      const environment = await gatewayWith({ [name]: "", [old]: "7" });
      deepStrictEqual([environment[name], environment[old]], ["", "7"], old);
    }
  });

  Deno.test({
    name: "the stand-in and the gateways start from what the image holds, get healthy and stop",
    // Windows has neither the signals nor the groups of processes that containers have.
    ignore: Deno.build.os === "windows",
    fn: (t) => startAll(t, project),
  });
}

/** The environment of the gateway with other settings. */
async function gatewayWith(settings: Record<string, string>) {
  return (await readServices({ ...SETTINGS, ...settings })).gateway?.environment ?? {};
}

async function startAll(t: Deno.TestContext, project: Project): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const own = Object.entries(project.services)
    .filter(([, { build, profiles }]) => build !== undefined && profiles.length !== 0)
    .map(([name]) => name);
  // Each gateway's admin API has the same port in a network of its own; here it needs its own.
  // Its secret is mounted as Kubernetes does it: of another owner, for the process's group.
  const folder = stack.use(await temporaryFolder());
  await Deno.chmod(folder.path, 0o755);
  const tokenFile = await mountSecret(folder.path, "token", "token_of_a_mounted_file\n");
  const environment = {
    gateway: {
      GATEWAY_ADMIN_PORT: "8081",
      GATEWAY_ADMIN_TOKEN: "",
      GATEWAY_ADMIN_TOKEN_FILE: tokenFile,
    },
    "gateway-to-practise": { GATEWAY_ADMIN_PORT: "8091" },
  };
  const hosts = { "old-server:3001": "api:3001" };
  const running = await startServices(t, stack, project, own, { environment, hosts });

  await t.step("the stand-in responds from the migrated database", async () => {
    await traceIsNotFound(running.urlOf("legacy", 3001));
  });

  for (const [name, port] of Object.entries(GATEWAYS)) {
    await t.step(`${name} forwards requests to the stand-in`, async () => {
      const { headers } = await traceIsNotFound(running.urlOf(name, port));
      ok(headers.has("x-powered-by"), "Express sends this header, and Lotline doesn't");
    });
  }

  await t.step(
    "the gateway takes its secret from a file that only its group can read",
    async () => {
      const statusWith = async (token: string) => {
        const headers = { authorization: `Bearer ${token}` };
        const response = await fetch(`${running.urlOf("gateway", 8081)}/status`, { headers });
        await response.body?.cancel();
        return response.status;
      };
      deepStrictEqual(
        [await statusWith("token_of_a_mounted_file"), await statusWith("token_of_the_gateway")],
        [200, 401],
      );
    },
  );

  for (const name of Object.keys(GATEWAYS)) {
    await t.step({
      name:
        `${name} runs under any number of a user on a read-only root, without an init before it`,
      ignore: !hasAnyUser,
      fn: async () => {
        const first = await running.processes.get(name)?.first();
        deepStrictEqual(await confinementOf(first ?? 0), FIRST_OF_ANY_USER);
      },
    });
    await t.step(`${name} ends within its grace period`, async () => {
      const outcome = await running.processes.get(name)?.stop(30_000);
      strictEqual(outcome?.code, 0, outcome?.output ?? "it was not started");
    });
  }
}

async function traceIsNotFound(url: string): Promise<Response> {
  const response = await fetch(`${url}/api/traceability/NO-SUCH-LOT`);
  deepStrictEqual([response.status, await response.json()], [404, { error: "Lot not found" }]);
  return response;
}
