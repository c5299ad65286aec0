import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { z } from "zod";
import { ConfigError, readSettings } from "../config.ts";
import { secretNames } from "../secret_files.ts";
import {
  allowedEnvironment,
  envExample,
  refusesBadAddresses,
  refusesBadSettings,
  settingNames,
} from "../testing/settings.ts";
import { taskOutput } from "../testing/task_output.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import {
  CalibrateSettings,
  CutoverSettings,
  GatewaySettings,
  LegacySettings,
  ParitySettings,
  ProbeSettings,
} from "./config.ts";

const GATEWAY_MIN = {
  DATABASE_URL: "postgres://lotline@localhost/plant",
  LEGACY_URL: "http://old:3001",
  SERVICE_URL: "http://127.0.0.1:8000/",
  GATEWAY_ADMIN_TOKEN: "0123456789abcdef",
  DRY_RUN_SECRET: "0123456789abcdef0123456789abcdef",
};

Deno.test("the gateway needs five settings and has defaults for the others", () => {
  const config = readSettings(GatewaySettings, { ...GATEWAY_MIN, AUTH_MODE: "odd", PORT: "odd" });
  deepStrictEqual({ ...config }, {
    ...GATEWAY_MIN,
    DATABASE_URL: "postgres://lotline@localhost/plant?pool_mode=auto",
    DATABASE_POOLER: "auto",
    HOST: "127.0.0.1",
    TRUSTED_PROXIES: [],
    METRICS_HOST: "127.0.0.1",
    LOG_LEVEL: "info",
    GATEWAY_PORT: 8080,
    GATEWAY_ADMIN_PORT: 8081,
    GATEWAY_ADMIN_HOST: "127.0.0.1",
    SERVICE_URL: "http://127.0.0.1:8000",
    GATEWAY_BODY_LIMIT: 1_048_576,
    UPSTREAM_TIMEOUT_SECONDS: 30,
    CANARY_BY: "client",
  });
  throws(
    () => readSettings(GatewaySettings, {}),
    /DATABASE_URL is missing.*LEGACY_URL is missing.*SERVICE_URL.*GATEWAY_ADMIN_TOKEN.*DRY_RUN_SECRET/s,
  );
});

Deno.test("the gateway's secrets may be in files", async () => {
  await using folder = await temporaryFolder();
  const secrets = ["DATABASE_URL", "GATEWAY_ADMIN_TOKEN", "DRY_RUN_SECRET"] as const;
  const environment: Record<string, string> = { ...GATEWAY_MIN };
  for (const name of secrets) {
    const path = `${folder.path}/${name}`;
    await Deno.writeTextFile(path, `${GATEWAY_MIN[name]}\n`, { mode: 0o600 });
    delete environment[name];
    environment[`${name}_FILE`] = path;
  }
  deepStrictEqual(
    { ...readSettings(GatewaySettings, environment) },
    { ...readSettings(GatewaySettings, GATEWAY_MIN) },
  );
});

Deno.test("each task of the cutover refuses a secret's file that isn't there", async () => {
  const tasks = [["gateway"], ["cutover", "status"], ["parity", "report"], ["legacy"]];
  await Promise.all(tasks.map(async (words) => {
    const { error } = await taskOutput(words, {
      ...GATEWAY_MIN,
      DATABASE_URL: "",
      DATABASE_URL_FILE: "/none/such",
    });
    deepStrictEqual(error.split("\n"), [
      "Invalid settings:",
      "  DATABASE_URL_FILE is invalid: /none/such isn't there",
    ], words.join(" "));
  }));
});

Deno.test("the gateway's admin port stays on loopback when HOST opens the other one", () => {
  strictEqual(
    readSettings(GatewaySettings, { ...GATEWAY_MIN, HOST: "0.0.0.0" }).GATEWAY_ADMIN_HOST,
    "127.0.0.1",
  );
});

const BROKEN_GATEWAY: Record<string, string[]> = {
  LEGACY_URL: ["old:3001", "https://old", "http://old/api", "http://old/?a", "http://u:p@old"],
  SERVICE_URL: ["api", "http://api/x", "http://OLD:3001/"],
  GATEWAY_ADMIN_TOKEN: ["tooshort", "sixteen letters!"],
  DRY_RUN_SECRET: ["0123456789abcdef0123456789abcde", "short"],
  GATEWAY_PORT: ["-1", "65536"],
  GATEWAY_ADMIN_PORT: ["8080", "x"],
  GATEWAY_BODY_LIMIT: ["102399", "104857601"],
  UPSTREAM_TIMEOUT_SECONDS: ["0", "601", "1.5"],
  CANARY_BY: ["token", "header", "header ", "header a b", "header é", `header ${"a".repeat(65)}`],
};
for (const [name, values] of Object.entries(BROKEN_GATEWAY)) {
  Deno.test(`the gateway doesn't start with a broken ${name}, and names it`, () => {
    for (const value of values) {
      throws(
        () => readSettings(GatewaySettings, { ...GATEWAY_MIN, [name]: value }),
        (error: unknown) =>
          error instanceof ConfigError && error.message.includes(`  ${name} is invalid: expected `),
        value,
      );
    }
  });
}

Deno.test("one message names a mistake between two settings together with all others", () => {
  const mistaken = {
    ...GATEWAY_MIN,
    GATEWAY_ADMIN_TOKEN: "",
    SERVICE_URL: "http://old:3001",
    GATEWAY_ADMIN_PORT: "8080",
  };
  throws(
    () => readSettings(GatewaySettings, mistaken),
    (error: unknown) => {
      ok(error instanceof ConfigError);
      const named = [...error.message.matchAll(/^ {2}(\w+) /gm)].map(([, name]) => name);
      deepStrictEqual(named, ["GATEWAY_ADMIN_PORT", "SERVICE_URL", "GATEWAY_ADMIN_TOKEN"]);
      return true;
    },
  );
});

for (
  const [words, code, missing, schema] of [
    [["gateway"], 1, [
      "DATABASE_URL",
      "LEGACY_URL",
      "SERVICE_URL",
      "GATEWAY_ADMIN_TOKEN",
      "DRY_RUN_SECRET",
    ], GatewaySettings],
    [["cutover", "status"], 2, ["DATABASE_URL"], CutoverSettings],
    [["cutover", "probe"], 2, ["DATABASE_URL", "GATEWAY_URL"], ProbeSettings],
    [["cutover", "calibrate"], 2, ["DATABASE_URL", "LEGACY_URL"], CalibrateSettings],
    [["legacy"], 1, ["DATABASE_URL"], LegacySettings],
  ] as const
) {
  refusesBadSettings(words, code, missing, schema);
}

refusesBadAddresses(["gateway"], 1, ["DATABASE_URL"], GATEWAY_MIN);
refusesBadAddresses(["cutover", "status"], 2, ["DATABASE_URL"]);
refusesBadAddresses(["parity", "report"], 2, ["DATABASE_URL"]);
refusesBadAddresses(["legacy"], 1, ["DATABASE_URL"]);

for (
  const [task, ...schemas] of [
    ["gateway", GatewaySettings],
    ["cutover", CutoverSettings, ProbeSettings, CalibrateSettings],
    ["parity", ParitySettings],
    ["legacy", LegacySettings],
  ] as const
) {
  Deno.test(`deno task ${task} may read its settings, their old names, the files of secrets, and nothing else`, () => {
    deepStrictEqual(allowedEnvironment(task), settingNames(schemas));
  });

  Deno.test(`every setting of deno task ${task} that holds a secret is marked as one`, () => {
    for (const schema of schemas) {
      const named = Object.keys(schema.shape).filter((name) =>
        /(?:_SECRET|_TOKEN|PASSWORD)$|^(?:DATABASE|VALKEY)_(?:.*_)?URL$/.test(name)
      );
      deepStrictEqual(secretNames(schema), named);
    }
  });

  Deno.test(`every setting of deno task ${task} describes what is expected`, () => {
    for (const schema of schemas) {
      for (const [name, field] of Object.entries(schema.shape)) {
        ok((z.globalRegistry.get(field)?.description ?? "").length > 5, name);
      }
    }
  });
}

const read = (path: string) => Deno.readTextFile(new URL(path, import.meta.url));

Deno.test("both .env.example set every setting of the gateway, each with a comment", async () => {
  const shared = envExample(await read("../.env.example"));
  const own = envExample(await read(".env.example"));
  const names = settingNames([GatewaySettings], { currentOnly: true });
  deepStrictEqual(Object.keys(own).filter((name) => !names.includes(name) || name in shared), []);
  deepStrictEqual(names.filter((name) => !(name in own) && !(name in shared)), []);
  const { GATEWAY_ADMIN_TOKEN, DRY_RUN_SECRET } = GATEWAY_MIN;
  readSettings(GatewaySettings, { ...shared, ...own, GATEWAY_ADMIN_TOKEN, DRY_RUN_SECRET });
});
