import { deepStrictEqual, match, ok, strictEqual, throws } from "node:assert/strict";
import { z } from "zod";
import { KeysSettings, UserSettings } from "./auth/config.ts";
import { ApiSettings, ConfigError, type Environment, readSettings } from "./config.ts";
import { parseAddress } from "./db/address.ts";
import { MigrateSettings } from "./db/config.ts";
import { JobsSettings, WorkerSettings } from "./jobs/config.ts";
import {
  oldNames,
  refusesBadAddresses,
  refusesBadSettings,
  settingNames,
} from "./testing/settings.ts";

const MIN = {
  DATABASE_URL: "postgres://lotline@localhost/plant",
  AUTH_MODE: "legacy",
  JWT_KEYS_FILE: "/keys.json",
};

const DEFAULTS = {
  ...MIN,
  DATABASE_URL: "postgres://lotline@localhost/plant?pool_mode=auto",
  DATABASE_POOLER: "auto",
  HOST: "127.0.0.1",
  PORT: 8000,
  REUSE_PORT: false,
  DATABASE_POOL_MAX: 10,
  TOKEN_TTL_MINUTES: 30,
  CORS_ORIGINS: "*",
  TRUSTED_PROXIES: [],
  LOGIN_MAX_FAILURES_PER_ACCOUNT: 10,
  LOGIN_MAX_FAILURES_PER_ADDRESS: 100,
  BODY_LIMIT: 102_400,
  DRAIN_SECONDS: 0,
  METRICS_HOST: "127.0.0.1",
  LOG_LEVEL: "info",
};

/** The message that refuses these settings. */
function refusal(environment: Environment): string {
  try {
    readSettings(ApiSettings, environment);
  } catch (error) {
    ok(error instanceof ConfigError);
    return error.message;
  }
  throw new Error(`accepted: ${JSON.stringify(environment)}`);
}

Deno.test("three settings are enough; the others have defaults, and the result is frozen", () => {
  const config = readSettings(ApiSettings, { ...MIN, PATH: "/bin", PORTS: "1" });
  deepStrictEqual({ ...config }, DEFAULTS);
  ok(Object.isFrozen(config));
});

Deno.test("every setting can be set", () => {
  const config = readSettings(ApiSettings, {
    ...MIN,
    HOST: "0.0.0.0",
    PORT: "0",
    REUSE_PORT: "1",
    DATABASE_URL: "postgresql://a:b@db:5433/c?sslmode=require",
    DATABASE_POOLER: "transaction",
    DATABASE_REPLICA_URL: "postgres://a:b@replica/c",
    DATABASE_POOL_MAX: "200",
    VALKEY_URL: "valkeys://cache:6379/1",
    VALKEY_CA_FILE: "/ca.crt",
    AUTH_MODE: "required",
    TOKEN_TTL_MINUTES: "720",
    CORS_ORIGINS: "https://plant.example, http://localhost:5173",
    TRUSTED_PROXIES: "10.0.0.0/8,::1",
    LOGIN_MAX_FAILURES_PER_ACCOUNT: "5",
    LOGIN_MAX_FAILURES_PER_ADDRESS: "100000",
    METRICS_TOKEN: "0123456789abcdef",
    DRY_RUN_SECRET: "correct horse battery staple 32!",
    BODY_LIMIT: "1024",
    DRAIN_SECONDS: "5",
    METRICS_HOST: "0.0.0.0",
    METRICS_PORT: "9464",
    LOG_LEVEL: "debug",
    TIME_ZONE: "Europe/Berlin",
  });
  deepStrictEqual({ ...config }, {
    HOST: "0.0.0.0",
    PORT: 0,
    REUSE_PORT: true,
    DATABASE_URL: "postgresql://a:b@db:5433/c?sslmode=require&pool_mode=transaction",
    DATABASE_POOLER: "transaction",
    DATABASE_REPLICA_URL: "postgres://a:b@replica/c?pool_mode=auto",
    DATABASE_POOL_MAX: 200,
    VALKEY_URL: "valkeys://cache:6379/1",
    VALKEY_CA_FILE: "/ca.crt",
    AUTH_MODE: "required",
    JWT_KEYS_FILE: "/keys.json",
    TOKEN_TTL_MINUTES: 720,
    CORS_ORIGINS: ["https://plant.example", "http://localhost:5173"],
    TRUSTED_PROXIES: ["10.0.0.0/8", "::1"],
    LOGIN_MAX_FAILURES_PER_ACCOUNT: 5,
    LOGIN_MAX_FAILURES_PER_ADDRESS: 100_000,
    METRICS_TOKEN: "0123456789abcdef",
    DRY_RUN_SECRET: "correct horse battery staple 32!",
    BODY_LIMIT: 1024,
    DRAIN_SECONDS: 5,
    METRICS_HOST: "0.0.0.0",
    METRICS_PORT: 9464,
    LOG_LEVEL: "debug",
    TIME_ZONE: "Europe/Berlin",
  });
});

Deno.test("an empty setting counts as not set", () => {
  const empty = { HOST: "", PORT: "", DATABASE_POOL_MAX: "", VALKEY_URL: "", BODY_LIMIT: "" };
  deepStrictEqual(
    { ...readSettings(ApiSettings, { ...MIN, ...empty, LOG_LEVEL: "" }) },
    DEFAULTS,
  );
  match(refusal({ ...MIN, DATABASE_URL: "" }), /^ {2}DATABASE_URL is missing: expected /m);
});

Deno.test("one message names every missing setting, and none that has a default", () => {
  const [title, ...mistakes] = refusal({}).split("\n");
  strictEqual(title, "Invalid settings:");
  deepStrictEqual(mistakes.map((line) => line.split(":")[0]), [
    "  DATABASE_URL is missing",
    "  AUTH_MODE is missing",
    "  JWT_KEYS_FILE is missing",
  ]);
});

const BROKEN: Record<string, string[]> = {
  PORT: ["-1", "65536", "80a", " 80", "8e3", "1.5", "http"],
  DATABASE_URL: ["plant", "mysql://admin:hunter2@db/plant", "localhost:5432", "https://db/plant"],
  DATABASE_POOLER: ["pgbouncer", "session", "AUTO"],
  DATABASE_POOL_MAX: ["0", "201", "many", "-5"],
  VALKEY_URL: ["cache:6379", "http://cache", "true"],
  AUTH_MODE: ["none", "LEGACY", "legacy ", "off"],
  TOKEN_TTL_MINUTES: ["0", "721", "30m"],
  CORS_ORIGINS: [
    "https://plant.example/",
    "plant.example",
    "https://a.example,*",
    "null",
    "ftp://a",
  ],
  REUSE_PORT: ["yes", "2"],
  TRUSTED_PROXIES: ["gateway", "10.0.0.0/33", "10.0.0.1,", "*"],
  LOGIN_MAX_FAILURES_PER_ACCOUNT: ["0", "1001"],
  LOGIN_MAX_FAILURES_PER_ADDRESS: ["0", "100001"],
  METRICS_TOKEN: ["tooshort", "sixteen letters!"],
  DRY_RUN_SECRET: ["thirty-one characters, too few.", "short"],
  BODY_LIMIT: ["1023", "10485761", "100kb"],
  LOG_LEVEL: ["verbose", "INFO"],
  TIME_ZONE: ["Mars/Base", "+02:00", "Europe/Berlin ", "2"],
};

for (const [name, values] of Object.entries(BROKEN)) {
  Deno.test(`a broken ${name} is refused with the expected form, and without its value`, () => {
    for (const value of values) {
      const [, mistake = "", ...more] = refusal({ ...MIN, [name]: value }).split("\n");
      deepStrictEqual(more, [], value);
      ok(mistake.startsWith(`  ${name} is invalid: expected `), `${value}: ${mistake}`);
      const withoutExample = mistake.replace(/such as .*|from \d.*|"legacy".*/, "");
      ok(!withoutExample.includes(value), `${value} is in: ${mistake}`);
    }
  });
}

Deno.test("one message names all broken settings, and no password among them is shown", () => {
  const environment = Object.fromEntries(
    Object.entries(BROKEN).map(([name, values]) => [name, values[1] ?? ""]),
  );
  const message = refusal({ ...environment, JWT_KEYS_FILE: "" });
  const named = [...message.matchAll(/^ {2}(\w+) /gm)].map(([, name]) => name);
  deepStrictEqual(named.sort(), [...Object.keys(BROKEN), "JWT_KEYS_FILE"].sort());
  ok(!message.includes("hunter2") && !message.includes("mysql"), message);
});

Deno.test("AUTH_MODE has no default", () => {
  match(refusal({ ...MIN, AUTH_MODE: undefined }), /AUTH_MODE is missing: .*no default/);
});

Deno.test("AUTH_MODE=required starts only with CORS_ORIGINS set, never with the default *", () => {
  const required = { ...MIN, AUTH_MODE: "required" };
  match(refusal(required), /^ {2}CORS_ORIGINS is missing: /m);
  match(refusal({ ...required, CORS_ORIGINS: "*" }), /^ {2}CORS_ORIGINS is invalid: .*any-site/m);
  // The message names it together with the other mistakes.
  match(refusal({ ...required, PORT: "x" }), /PORT is invalid.*\n {2}CORS_ORIGINS is missing/);
  deepStrictEqual(
    readSettings(ApiSettings, { ...required, CORS_ORIGINS: "none" }).CORS_ORIGINS,
    [],
  );
  strictEqual(
    readSettings(ApiSettings, { ...required, CORS_ORIGINS: "any-site" }).CORS_ORIGINS,
    "any-site",
  );
});

Deno.test("the direct address is optional, and no setting is written into it", () => {
  const { DATABASE_URL } = MIN;
  const directOf = (DATABASE_DIRECT_URL: string) =>
    readSettings(WorkerSettings, {
      DATABASE_URL,
      DATABASE_DIRECT_URL,
      DATABASE_POOLER: "transaction",
    }).DATABASE_DIRECT_URL;
  strictEqual(directOf(""), undefined);
  strictEqual(directOf("postgres://u@h/d"), "postgres://u@h/d");
  throws(
    () => directOf("postgres://u:hunter2@h/d?port=0"),
    /^ConfigError: Invalid settings:\n {2}DATABASE_DIRECT_URL is invalid: port must be /,
  );
});

Deno.test("the replica's address is optional, and DATABASE_POOLER says nothing of it", () => {
  for (const schema of [ApiSettings, WorkerSettings]) {
    const replicaOf = (DATABASE_REPLICA_URL: string) =>
      readSettings<z.ZodObject>(schema, {
        ...MIN,
        DATABASE_REPLICA_URL,
        DATABASE_POOLER: "transaction",
      }).DATABASE_REPLICA_URL;
    strictEqual(replicaOf(""), undefined);
    strictEqual(replicaOf("postgres://u@h/d"), "postgres://u@h/d?pool_mode=auto");
    const named = "postgres://u@h/d?pool_mode=transaction";
    strictEqual(replicaOf(named), named);
    throws(
      () => replicaOf("postgres://u:hunter2@h/d?port=0"),
      /^ConfigError: Invalid settings:\n {2}DATABASE_REPLICA_URL is invalid: port must be /,
    );
  }
});

Deno.test("the address of the database says whether a pooler is before it", () => {
  const urlOf = (url: string, DATABASE_POOLER = "") =>
    readSettings(MigrateSettings, { DATABASE_URL: url, DATABASE_POOLER }).DATABASE_URL;
  const url = "postgres://u:a?b#c@h/d";
  strictEqual(urlOf(url), `${url}?pool_mode=auto`);
  strictEqual(urlOf(url, "none"), `${url}?pool_mode=none`);
  strictEqual(urlOf(`${url}?`), `${url}?pool_mode=auto`);
  strictEqual(urlOf(`${url}?sslmode=disable&`), `${url}?sslmode=disable&pool_mode=auto`);
  // What the address says counts, unless the setting says otherwise.
  strictEqual(urlOf(`${url}?pgbouncer=true`), `${url}?pgbouncer=true`);
  const both = urlOf(`${url}?pgbouncer=true`, "none");
  strictEqual(parseAddress(both).pooler, "none");
  strictEqual(parseAddress(urlOf("postgres://u@h?port=5", "transaction")).pooler, "transaction");
});

Deno.test("migrate needs only the address of PostgreSQL", () => {
  const { DATABASE_URL } = MIN;
  deepStrictEqual({ ...readSettings(MigrateSettings, { DATABASE_URL, PORT: "x" }) }, {
    DATABASE_URL: DEFAULTS.DATABASE_URL,
    DATABASE_POOLER: "auto",
  });
  throws(() => readSettings(MigrateSettings, {}), ConfigError);
});

/** A schema with an old name, its settings and the warnings from reading them. */
function readRenamed(environment: Environment) {
  const warnings: string[] = [];
  const warn = (line: string) => warnings.push(line);
  const { TOKEN_TTL_MINUTES } = readSettings(ApiSettings, { ...MIN, ...environment }, warn);
  return { TOKEN_TTL_MINUTES, warnings };
}

const WARNING =
  "TOKEN_MINUTES is now named TOKEN_TTL_MINUTES; the next release ignores TOKEN_MINUTES";

Deno.test("an old name of a setting is accepted, with one warning that names the new one", () => {
  deepStrictEqual(readRenamed({ TOKEN_MINUTES: "7" }), {
    TOKEN_TTL_MINUTES: 7,
    warnings: [WARNING],
  });
  deepStrictEqual(readRenamed({ TOKEN_MINUTES: "7", TOKEN_TTL_MINUTES: "" }), {
    TOKEN_TTL_MINUTES: 7,
    warnings: [WARNING],
  });
});

Deno.test("the new name alone, or an empty old one, causes no warning", () => {
  deepStrictEqual(readRenamed({ TOKEN_TTL_MINUTES: "7", TOKEN_MINUTES: "" }), {
    TOKEN_TTL_MINUTES: 7,
    warnings: [],
  });
  deepStrictEqual(readRenamed({ TOKEN_MINUTES: "" }), { TOKEN_TTL_MINUTES: 30, warnings: [] });
});

Deno.test("a setting may have the same value by both names, for a release that reads the old one", () => {
  deepStrictEqual(readRenamed({ TOKEN_TTL_MINUTES: "7", TOKEN_MINUTES: "7" }), {
    TOKEN_TTL_MINUTES: 7,
    warnings: [WARNING],
  });
});

Deno.test("different values by both names stop the start, together with the other mistakes and without the values", () => {
  const warnings: string[] = [];
  const environment = {
    ...MIN,
    AUTH_MODE: "",
    DATABASE_POOL: "many",
    TOKEN_TTL_MINUTES: "7",
    TOKEN_MINUTES: "8",
  };
  throws(
    () => readSettings(ApiSettings, environment, (line) => warnings.push(line)),
    new ConfigError(
      "Invalid settings:\n" +
        "  DATABASE_POOL_MAX is invalid: expected a number of connections from 1 to 200\n" +
        '  AUTH_MODE is missing: expected "legacy" or "required"; it has no default on purpose\n' +
        "  TOKEN_TTL_MINUTES differs from TOKEN_MINUTES, its old name: set TOKEN_TTL_MINUTES alone",
    ),
  );
  deepStrictEqual(warnings.map((line) => line.split(" ")[0]), ["DATABASE_POOL", "TOKEN_MINUTES"]);
});

const SCHEMAS = {
  ApiSettings,
  JobsSettings,
  KeysSettings,
  MigrateSettings,
  UserSettings,
  WorkerSettings,
};

Deno.test("every setting describes what is expected, and no old name is another's new one", () => {
  const names = settingNames(Object.values(SCHEMAS), { currentOnly: true });
  for (const schema of Object.values(SCHEMAS)) {
    for (const [name, field] of Object.entries(schema.shape)) {
      ok((z.globalRegistry.get(field)?.description ?? "").length > 5, name);
    }
    for (const old of Object.values(oldNames(schema))) ok(!names.includes(old), old);
  }
});

for (
  const [words, code, missing, mistaken] of [
    [["start"], 1, ["DATABASE_URL", "AUTH_MODE", "JWT_KEYS_FILE"], ApiSettings],
    [["worker"], 1, ["DATABASE_URL"], WorkerSettings],
    [["migrate"], 1, ["DATABASE_URL"], MigrateSettings],
    [["jobs", "list"], 2, ["DATABASE_URL"], JobsSettings],
    [["user", "list"], 2, ["DATABASE_URL"], UserSettings],
    [["restored"], 2, ["DATABASE_URL"], UserSettings],
    [["keys", "create"], 2, ["JWT_KEYS_FILE"], KeysSettings],
  ] as const
) {
  refusesBadSettings(words, code, missing, mistaken);
}

refusesBadAddresses(["start"], 1, ["DATABASE_URL", "VALKEY_URL"], {
  AUTH_MODE: "legacy",
  JWT_KEYS_FILE: "/keys.json",
});
refusesBadAddresses(["worker"], 1, ["DATABASE_URL", "VALKEY_URL"]);
refusesBadAddresses(["migrate"], 1, ["DATABASE_URL"]);
refusesBadAddresses(["jobs", "list"], 2, ["DATABASE_URL"]);
refusesBadAddresses(["user", "list"], 2, ["DATABASE_URL", "VALKEY_URL"]);

Deno.test("a start with broken settings exits with 1 and prints only the message, no stack", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--allow-net",
      "--allow-env",
      "--allow-read",
      new URL("main.ts", import.meta.url).pathname,
    ],
    env: {
      DATABASE_URL: "mysql://admin:hunter2@db/plant",
      AUTH_MODE: "required",
      JWT_KEYS_FILE: "",
    },
  }).output();
  strictEqual(code, 1);
  strictEqual(new TextDecoder().decode(stdout), "");
  const lines = new TextDecoder().decode(stderr).trimEnd().split("\n");
  deepStrictEqual(lines.map((line) => line.replace(/(?<=\w )(is .*)/, "…")), [
    "Invalid settings:",
    "  DATABASE_URL …",
    "  JWT_KEYS_FILE …",
    "  CORS_ORIGINS …",
  ]);
  ok(!lines.join().includes("hunter2"));
});
