import { deepStrictEqual, match, ok, strictEqual, throws } from "node:assert/strict";
import {
  ConfigError,
  type Environment,
  readConfig,
  readGatewayConfig,
  readMigrateConfig,
  readWorkerConfig,
} from "./config.ts";

const LEAST = {
  DATABASE_URL: "postgres://lotline@localhost/plant",
  AUTH_MODE: "legacy",
  JWT_KEYS_FILE: "/keys.json",
};

const DEFAULTS = {
  ...LEAST,
  HOST: "127.0.0.1",
  PORT: 8000,
  REUSE_PORT: false,
  DATABASE_POOL: 10,
  TOKEN_MINUTES: 30,
  CORS_ORIGINS: "*",
  TRUSTED_PROXIES: [],
  LOGIN_TRIES_PER_ACCOUNT: 10,
  LOGIN_TRIES_PER_ADDRESS: 100,
  BODY_LIMIT: 102_400,
  LOG_LEVEL: "info",
};

/** The message with which these settings are refused. */
function refusal(environment: Environment): string {
  try {
    readConfig(environment);
  } catch (error) {
    ok(error instanceof ConfigError);
    return error.message;
  }
  throw new Error(`accepted: ${JSON.stringify(environment)}`);
}

Deno.test("three settings are enough; the others have defaults, and the result can't be changed", () => {
  const config = readConfig({ ...LEAST, PATH: "/bin", PORTS: "1" });
  deepStrictEqual({ ...config }, DEFAULTS);
  ok(Object.isFrozen(config));
});

Deno.test("every setting can be given", () => {
  const config = readConfig({
    ...LEAST,
    HOST: "0.0.0.0",
    PORT: "0",
    REUSE_PORT: "1",
    DATABASE_URL: "postgresql://a:b@db:5433/c?sslmode=require",
    DATABASE_POOL: "200",
    VALKEY_URL: "valkey://cache:6379/1",
    AUTH_MODE: "required",
    TOKEN_MINUTES: "720",
    CORS_ORIGINS: "https://plant.example, http://localhost:5173",
    TRUSTED_PROXIES: "10.0.0.0/8,::1",
    LOGIN_TRIES_PER_ACCOUNT: "5",
    LOGIN_TRIES_PER_ADDRESS: "100000",
    METRICS_TOKEN: "0123456789abcdef",
    DRY_RUN_SECRET: "correct horse battery staple 32!",
    BODY_LIMIT: "1024",
    LOG_LEVEL: "debug",
  });
  deepStrictEqual({ ...config }, {
    HOST: "0.0.0.0",
    PORT: 0,
    REUSE_PORT: true,
    DATABASE_URL: "postgresql://a:b@db:5433/c?sslmode=require",
    DATABASE_POOL: 200,
    VALKEY_URL: "valkey://cache:6379/1",
    AUTH_MODE: "required",
    JWT_KEYS_FILE: "/keys.json",
    TOKEN_MINUTES: 720,
    CORS_ORIGINS: ["https://plant.example", "http://localhost:5173"],
    TRUSTED_PROXIES: ["10.0.0.0/8", "::1"],
    LOGIN_TRIES_PER_ACCOUNT: 5,
    LOGIN_TRIES_PER_ADDRESS: 100_000,
    METRICS_TOKEN: "0123456789abcdef",
    DRY_RUN_SECRET: "correct horse battery staple 32!",
    BODY_LIMIT: 1024,
    LOG_LEVEL: "debug",
  });
});

Deno.test("a setting that is there but empty counts as not set", () => {
  const empty = { HOST: "", PORT: "", DATABASE_POOL: "", VALKEY_URL: "", BODY_LIMIT: "" };
  deepStrictEqual({ ...readConfig({ ...LEAST, ...empty, LOG_LEVEL: "" }) }, DEFAULTS);
  match(refusal({ ...LEAST, DATABASE_URL: "" }), /^ {2}DATABASE_URL is missing: give /m);
});

Deno.test("one message names all that is missing, and nothing that has a default", () => {
  const [title, ...mistakes] = refusal({}).split("\n");
  strictEqual(title, "These settings need a look:");
  deepStrictEqual(mistakes.map((line) => line.split(":")[0]), [
    "  DATABASE_URL is missing",
    "  AUTH_MODE is missing",
    "  JWT_KEYS_FILE is missing",
  ]);
});

const BROKEN: Record<string, string[]> = {
  PORT: ["-1", "65536", "80a", " 80", "8e3", "1.5", "http"],
  DATABASE_URL: ["plant", "mysql://admin:hunter2@db/plant", "localhost:5432", "https://db/plant"],
  DATABASE_POOL: ["0", "201", "many", "-5"],
  VALKEY_URL: ["cache:6379", "http://cache", "true"],
  AUTH_MODE: ["none", "LEGACY", "legacy ", "off"],
  TOKEN_MINUTES: ["0", "721", "30m"],
  CORS_ORIGINS: [
    "https://plant.example/",
    "plant.example",
    "https://a.example,*",
    "null",
    "ftp://a",
  ],
  REUSE_PORT: ["yes", "2"],
  TRUSTED_PROXIES: ["gateway", "10.0.0.0/33", "10.0.0.1,", "*"],
  LOGIN_TRIES_PER_ACCOUNT: ["0", "1001"],
  LOGIN_TRIES_PER_ADDRESS: ["0", "100001"],
  METRICS_TOKEN: ["tooshort", "sixteen letters!"],
  DRY_RUN_SECRET: ["thirty-one characters, too few.", "short"],
  BODY_LIMIT: ["1023", "10485761", "100kb"],
  LOG_LEVEL: ["verbose", "INFO"],
};

for (const [name, values] of Object.entries(BROKEN)) {
  Deno.test(`a broken ${name} is refused with what it should be, and its value isn't shown`, () => {
    for (const value of values) {
      const [, mistake = "", ...more] = refusal({ ...LEAST, [name]: value }).split("\n");
      deepStrictEqual(more, [], value);
      ok(mistake.startsWith(`  ${name} is broken: give `), `${value}: ${mistake}`);
      const withoutExample = mistake.replace(/such as .*|from \d.*|"legacy".*/, "");
      ok(!withoutExample.includes(value), `${value} is in: ${mistake}`);
    }
  });
}

Deno.test("all broken settings are named at once, and no password among them is shown", () => {
  const environment = Object.fromEntries(
    Object.entries(BROKEN).map(([name, values]) => [name, values[1] ?? ""]),
  );
  const message = refusal({ ...environment, JWT_KEYS_FILE: "" });
  const named = [...message.matchAll(/^ {2}(\w+) /gm)].map(([, name]) => name);
  deepStrictEqual(named.sort(), [...Object.keys(BROKEN), "JWT_KEYS_FILE"].sort());
  ok(!message.includes("hunter2") && !message.includes("mysql"), message);
});

Deno.test("AUTH_MODE has no default", () => {
  match(refusal({ ...LEAST, AUTH_MODE: undefined }), /AUTH_MODE is missing: .*no default/);
});

Deno.test("AUTH_MODE=required starts with origins that were chosen, never with * by default", () => {
  const required = { ...LEAST, AUTH_MODE: "required" };
  match(refusal(required), /^ {2}CORS_ORIGINS is missing: /m);
  match(refusal({ ...required, CORS_ORIGINS: "*" }), /^ {2}CORS_ORIGINS is broken: .*any-site/m);
  // It is named together with what else is wrong.
  match(refusal({ ...required, PORT: "x" }), /PORT is broken.*\n {2}CORS_ORIGINS is missing/);
  deepStrictEqual(readConfig({ ...required, CORS_ORIGINS: "none" }).CORS_ORIGINS, []);
  strictEqual(readConfig({ ...required, CORS_ORIGINS: "any-site" }).CORS_ORIGINS, "any-site");
});

Deno.test("the worker needs an address of PostgreSQL; its own settings have bounds and defaults", () => {
  const { DATABASE_URL } = LEAST;
  const audits = { AUDIT_TEMPERATURES: "RAW:-2..7", AUDIT_TOLERANCE_PERCENT: "2" };
  const limits = {
    ...audits,
    AUDIT_TEMPERATURES: { RAW: { least: "-2", most: "7" } },
    AUDIT_QUIET_HOURS: [],
  };
  deepStrictEqual({ ...readWorkerConfig({ DATABASE_URL, ...audits, PORT: "x" }) }, {
    DATABASE_URL,
    DATABASE_POOL: 10,
    LOG_LEVEL: "info",
    WORKER_JOBS: 4,
    JOB_LEASE_SECONDS: 30,
    TRACE_STORAGE_MAX_MB: 10_000,
    ...limits,
  });
  const given = {
    WORKER_JOBS: "64",
    JOB_LEASE_SECONDS: "5",
    TRACE_STORAGE_MAX_MB: "100",
    VALKEY_URL: "redis://cache",
  };
  deepStrictEqual({ ...readWorkerConfig({ DATABASE_URL, ...audits, ...given }) }, {
    DATABASE_URL,
    DATABASE_POOL: 10,
    LOG_LEVEL: "info",
    WORKER_JOBS: 64,
    JOB_LEASE_SECONDS: 5,
    TRACE_STORAGE_MAX_MB: 100,
    VALKEY_URL: "redis://cache",
    ...limits,
  });
  for (
    const [name, value] of [
      ["WORKER_JOBS", "0"],
      ["WORKER_JOBS", "65"],
      ["JOB_LEASE_SECONDS", "4"],
      ["TRACE_STORAGE_MAX_MB", "99"],
    ]
  ) {
    throws(
      () => readWorkerConfig({ DATABASE_URL, [name ?? ""]: value }),
      new RegExp(`${name} is broken: give `),
    );
  }
});

Deno.test("migrate needs an address of PostgreSQL and nothing else", () => {
  const { DATABASE_URL } = LEAST;
  deepStrictEqual({ ...readMigrateConfig({ DATABASE_URL, PORT: "x" }) }, { DATABASE_URL });
  throws(() => readMigrateConfig({}), ConfigError);
});

Deno.test("a start with broken settings ends with 1 and the message alone, no stack", async () => {
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
    "These settings need a look:",
    "  DATABASE_URL …",
    "  JWT_KEYS_FILE …",
    "  CORS_ORIGINS …",
  ]);
  ok(!lines.join().includes("hunter2"));
});

Deno.test("audits have limits unless the settings say otherwise", () => {
  const { AUDIT_TEMPERATURES, AUDIT_TOLERANCE_PERCENT } = readWorkerConfig(LEAST);
  deepStrictEqual(AUDIT_TEMPERATURES.FRZ, { least: "-40", most: "-18" });
  deepStrictEqual(Object.keys(AUDIT_TEMPERATURES).length, 7);
  strictEqual(AUDIT_TOLERANCE_PERCENT, "2");
  deepStrictEqual(readWorkerConfig(LEAST).AUDIT_QUIET_HOURS, []);
});

Deno.test("quiet hours are given in UTC, by hour or minute, over midnight too, and several", () => {
  const cases: [text: string, hours: { from: number; to: number }[]][] = [
    ["06-22", [{ from: 360, to: 1_320 }]],
    ["6-22", [{ from: 360, to: 1_320 }]],
    ["06:30-22:05", [{ from: 390, to: 1_325 }]],
    ["22-6:15", [{ from: 1_320, to: 375 }]],
    ["0-23:59", [{ from: 0, to: 1_439 }]],
    ["13:00-24:00, 0-6", [{ from: 780, to: 1_440 }, { from: 0, to: 360 }]],
    ["", []],
  ];
  for (const [text, hours] of cases) {
    const { AUDIT_QUIET_HOURS } = readWorkerConfig({ ...LEAST, AUDIT_QUIET_HOURS: text });
    deepStrictEqual(AUDIT_QUIET_HOURS, hours, text);
  }
});

Deno.test("the limits of audits can be given, to the digit", () => {
  const { AUDIT_TEMPERATURES, AUDIT_TOLERANCE_PERCENT } = readWorkerConfig({
    ...LEAST,
    AUDIT_TEMPERATURES: "RAW:-2.50..7, FG:-18..-18",
    AUDIT_TOLERANCE_PERCENT: "0.50",
  });
  deepStrictEqual(AUDIT_TEMPERATURES, {
    RAW: { least: "-2.50", most: "7" },
    FG: { least: "-18", most: "-18" },
  });
  strictEqual(AUDIT_TOLERANCE_PERCENT, "0.50");
});

const BROKEN_LIMITS: [name: string, values: string[]][] = [
  ["AUDIT_TEMPERATURES", [
    "RAW",
    "RAW:7",
    "RAW:7..-2",
    "RAW:-2..7,RAW:0..7",
    "RAW:-2..7,",
    "MEAT:0..7",
    "RAW:-2...7",
    "RAW:-Infinity..7",
    "RAW:1e1..20",
  ]],
  ["AUDIT_QUIET_HOURS", [
    "6",
    "6-",
    "06-22,",
    "6-25",
    "24-6",
    "6-24:01",
    "06:60-22",
    "6:0-22",
    "-6-22",
    "06–22",
    "6-6",
    "0-24",
    "0-12,12-24",
    "22-6,6-23",
    "6am-10pm",
    "06:00:00-22:00",
    "1e1-22",
  ]],
  ["AUDIT_TOLERANCE_PERCENT", ["-1", "100.01", "NaN", "2%", "1e1"]],
];

for (const [name, values] of BROKEN_LIMITS) {
  Deno.test(`a broken ${name} is refused`, () => {
    for (const value of values) {
      throws(
        () => readWorkerConfig({ ...LEAST, [name]: value }),
        new RegExp(`${name} is broken`),
        value,
      );
    }
  });
}

const GATEWAY_LEAST = {
  DATABASE_URL: "postgres://lotline@localhost/plant",
  LEGACY_URL: "http://old:3001",
  SERVICE_URL: "http://127.0.0.1:8000/",
  GATEWAY_TOKEN: "0123456789abcdef",
  DRY_RUN_SECRET: "0123456789abcdef0123456789abcdef",
};

Deno.test("the gateway needs five settings and has defaults for the others", () => {
  const config = readGatewayConfig({ ...GATEWAY_LEAST, AUTH_MODE: "odd", PORT: "odd" });
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
    () => readGatewayConfig({}),
    /DATABASE_URL is missing.*LEGACY_URL is missing.*SERVICE_URL.*GATEWAY_TOKEN.*DRY_RUN_SECRET/s,
  );
});

Deno.test("the gateway's port for commands stays on loopback when HOST opens the other one", () => {
  strictEqual(
    readGatewayConfig({ ...GATEWAY_LEAST, HOST: "0.0.0.0" }).GATEWAY_ADMIN_HOST,
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
        () => readGatewayConfig({ ...GATEWAY_LEAST, [name]: value }),
        (error: unknown) =>
          error instanceof ConfigError && error.message.includes(`  ${name} is broken: give `),
        value,
      );
    }
  });
}
