import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { readSettings } from "../config.ts";
import { WorkerSettings } from "./config.ts";

const MIN = { DATABASE_URL: "postgres://lotline@localhost/plant" };

Deno.test("the worker needs an address of PostgreSQL; its own settings have bounds and defaults", () => {
  const { DATABASE_URL } = MIN;
  const audits = { AUDIT_TEMPERATURES: "RAW:-2..7", AUDIT_TOLERANCE_PERCENT: "2" };
  const limits = {
    ...audits,
    AUDIT_TEMPERATURES: { RAW: { least: "-2", most: "7" } },
    AUDIT_QUIET_HOURS: [],
  };
  const connections = {
    DATABASE_URL: `${DATABASE_URL}?pool_mode=auto`,
    DATABASE_POOLER: "auto",
    DATABASE_POOL_MAX: 10,
  };
  deepStrictEqual({ ...readSettings(WorkerSettings, { DATABASE_URL, ...audits, PORT: "x" }) }, {
    ...connections,
    METRICS_HOST: "127.0.0.1",
    LOG_LEVEL: "info",
    WORKER_CONCURRENCY: 4,
    JOB_LEASE_SECONDS: 30,
    TRACE_STORAGE_MAX_MB: 10_000,
    ...limits,
  });
  const given = {
    WORKER_CONCURRENCY: "64",
    JOB_LEASE_SECONDS: "5",
    TRACE_STORAGE_MAX_MB: "100",
    VALKEY_URL: "redis://cache",
    HEARTBEAT_FILE: "/tmp/heartbeat",
  };
  deepStrictEqual({ ...readSettings(WorkerSettings, { DATABASE_URL, ...audits, ...given }) }, {
    ...connections,
    METRICS_HOST: "127.0.0.1",
    LOG_LEVEL: "info",
    WORKER_CONCURRENCY: 64,
    JOB_LEASE_SECONDS: 5,
    TRACE_STORAGE_MAX_MB: 100,
    VALKEY_URL: "redis://cache",
    HEARTBEAT_FILE: "/tmp/heartbeat",
    ...limits,
  });
  for (
    const [name, value] of [
      ["WORKER_CONCURRENCY", "0"],
      ["WORKER_CONCURRENCY", "65"],
      ["JOB_LEASE_SECONDS", "4"],
      ["TRACE_STORAGE_MAX_MB", "99"],
    ]
  ) {
    throws(
      () => readSettings(WorkerSettings, { DATABASE_URL, [name ?? ""]: value }),
      new RegExp(`${name} is invalid: expected `),
    );
  }
});

Deno.test("audits have default thresholds", () => {
  const { AUDIT_TEMPERATURES, AUDIT_TOLERANCE_PERCENT } = readSettings(WorkerSettings, MIN);
  deepStrictEqual(AUDIT_TEMPERATURES.FRZ, { least: "-40", most: "-18" });
  deepStrictEqual(Object.keys(AUDIT_TEMPERATURES).length, 7);
  strictEqual(AUDIT_TOLERANCE_PERCENT, "2");
  deepStrictEqual(readSettings(WorkerSettings, MIN).AUDIT_QUIET_HOURS, []);
});

Deno.test("quiet hours are set in UTC, by hour or minute, over midnight too, and several", () => {
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
    const { AUDIT_QUIET_HOURS } = readSettings(WorkerSettings, {
      ...MIN,
      AUDIT_QUIET_HOURS: text,
    });
    deepStrictEqual(AUDIT_QUIET_HOURS, hours, text);
  }
});

Deno.test("the thresholds of audits can be set, with exact decimals", () => {
  const { AUDIT_TEMPERATURES, AUDIT_TOLERANCE_PERCENT } = readSettings(WorkerSettings, {
    ...MIN,
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
        () => readSettings(WorkerSettings, { ...MIN, [name]: value }),
        new RegExp(`${name} is invalid`),
        value,
      );
    }
  });
}
