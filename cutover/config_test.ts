import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { ConfigError, readSettings } from "../config.ts";
import { GatewaySettings } from "./config.ts";

const GATEWAY_LEAST = {
  DATABASE_URL: "postgres://lotline@localhost/plant",
  LEGACY_URL: "http://old:3001",
  SERVICE_URL: "http://127.0.0.1:8000/",
  GATEWAY_TOKEN: "0123456789abcdef",
  DRY_RUN_SECRET: "0123456789abcdef0123456789abcdef",
};

Deno.test("the gateway needs five settings and has defaults for the others", () => {
  const config = readSettings(GatewaySettings, { ...GATEWAY_LEAST, AUTH_MODE: "odd", PORT: "odd" });
  deepStrictEqual({ ...config }, {
    ...GATEWAY_LEAST,
    HOST: "127.0.0.1",
    TRUSTED_PROXIES: [],
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
    /DATABASE_URL is missing.*LEGACY_URL is missing.*SERVICE_URL.*GATEWAY_TOKEN.*DRY_RUN_SECRET/s,
  );
});

Deno.test("the gateway's port for commands stays on loopback when HOST opens the other one", () => {
  strictEqual(
    readSettings(GatewaySettings, { ...GATEWAY_LEAST, HOST: "0.0.0.0" }).GATEWAY_ADMIN_HOST,
    "127.0.0.1",
  );
});

const BROKEN_GATEWAY: Record<string, string[]> = {
  LEGACY_URL: ["old:3001", "https://old", "http://old/api", "http://old/?a", "http://u:p@old"],
  SERVICE_URL: ["api", "http://api/x", "http://OLD:3001/"],
  GATEWAY_TOKEN: ["tooshort", "sixteen letters!"],
  DRY_RUN_SECRET: ["0123456789abcdef0123456789abcde", "short"],
  GATEWAY_PORT: ["-1", "65536"],
  GATEWAY_ADMIN_PORT: ["8080", "x"],
  GATEWAY_BODY_LIMIT: ["102399", "104857601"],
  UPSTREAM_TIMEOUT_SECONDS: ["0", "601", "1.5"],
  CANARY_BY: ["token", "header", "header ", "header a b", "header é", `header ${"a".repeat(65)}`],
};
for (const [name, values] of Object.entries(BROKEN_GATEWAY)) {
  Deno.test(`the gateway doesn't start with a broken ${name}, and says which it is`, () => {
    for (const value of values) {
      throws(
        () => readSettings(GatewaySettings, { ...GATEWAY_LEAST, [name]: value }),
        (error: unknown) =>
          error instanceof ConfigError && error.message.includes(`  ${name} is broken: give `),
        value,
      );
    }
  });
}

Deno.test("one message names a mistake between two settings together with all others", () => {
  const mistaken = {
    ...GATEWAY_LEAST,
    GATEWAY_TOKEN: "",
    SERVICE_URL: "http://old:3001",
    GATEWAY_ADMIN_PORT: "8080",
  };
  throws(
    () => readSettings(GatewaySettings, mistaken),
    (error: unknown) => {
      ok(error instanceof ConfigError);
      const named = [...error.message.matchAll(/^ {2}(\w+) /gm)].map(([, name]) => name);
      deepStrictEqual(named, ["GATEWAY_ADMIN_PORT", "SERVICE_URL", "GATEWAY_TOKEN"]);
      return true;
    },
  );
});

for (const [command, setting] of [["probe", "GATEWAY_URL"], ["calibrate", "LEGACY_URL"]] as const) {
  Deno.test(`deno task cutover ${command} names all settings that it lacks in one message`, async () => {
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["task", "--quiet", "cutover", command],
      env: { NO_COLOR: "1", DATABASE_URL: "", [setting]: "" },
    }).output();
    const lines = new TextDecoder().decode(stderr).trimEnd().split("\n").map((line) =>
      line.split(":")[0]
    );
    deepStrictEqual([code, lines], [
      2,
      ["These settings need a look", "  DATABASE_URL is missing", `  ${setting} is missing`],
    ]);
  });
}
