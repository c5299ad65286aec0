import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { isLegacyOperation, OPERATIONS } from "../exchange/operations.ts";
import {
  describeMode,
  isPossible,
  modeOf,
  onLegacy,
  parseRouting,
  untouchedRoute,
} from "./routing.ts";

const SWITCH = { killed: false, killed_by: "migrate", killed_why: "never used" };
const NO_ROUTE = {
  operation: null,
  mode: null,
  canary_percent: null,
  epoch: null,
  sample_percent: null,
  latch: null,
  changed_at: null,
};
const ROW = {
  ...SWITCH,
  operation: "login",
  mode: "canary",
  canary_percent: 10,
  epoch: 3,
  sample_percent: 50,
  latch: null,
  changed_at: "2026-01-02T03:04:05.000Z",
};

const MODES: [name: string, percent: number | undefined, says: string | undefined][] = [
  ["legacy", undefined, "legacy"],
  ["shadow", undefined, "shadow"],
  ["service", undefined, "service"],
  ["canary", 1, "canary 1 %"],
  ["canary", 99, "canary 99 %"],
  ["canary", undefined, undefined],
  ["canary", 0, undefined],
  ["canary", 100, undefined],
  ["canary", 1.5, undefined],
  ["canary", NaN, undefined],
  ["service", 50, undefined],
  ["Canary", 10, undefined],
  ["", undefined, undefined],
];

Deno.test("a mode is one of four, and only canary has a share, from 1 to 99 %", () => {
  for (const [name, percent, says] of MODES) {
    const mode = modeOf(name, percent);
    strictEqual(mode && describeMode(mode), says, `${name} ${percent}`);
  }
});

Deno.test("without a row the old server gets its operations, and Lotline those that only it has", () => {
  const { routes, killed, broken } = parseRouting([{ ...SWITCH, ...NO_ROUTE }]);
  deepStrictEqual([...routes.keys()], OPERATIONS.map(({ operation }) => operation));
  for (const [operation, route] of routes) {
    deepStrictEqual(route, untouchedRoute(operation));
    strictEqual(route.mode.name, isLegacyOperation(operation) ? "legacy" : "service", operation);
    deepStrictEqual([route.epoch, route.changedAt], [0, undefined]);
  }
  deepStrictEqual([killed, broken], [undefined, []]);
});

Deno.test("a row is its route", () => {
  deepStrictEqual(parseRouting([ROW]).routes.get("login"), {
    operation: "login",
    mode: { name: "canary", percent: 10 },
    epoch: 3,
    samplePercent: 50,
    latch: undefined,
    changedAt: "2026-01-02T03:04:05.000Z",
  });
});

const BROKEN: Record<string, Readonly<Record<string, unknown>>> = {
  "a mode of a newer Lotline": { mode: "mirror", canary_percent: null },
  "a canary of no share": { canary_percent: null },
  "a canary of 100 %": { canary_percent: 100 },
  "a share without a canary": { mode: "service" },
  "a latch on a route that is not on legacy": { latch: "wrong" },
  "no epoch": { epoch: null },
  "an epoch as text": { epoch: "3" },
  "a sample of 101 %": { sample_percent: 101 },
  "a comparison of what only one server knows": { operation: "createAudit" },
};

for (const [what, change] of Object.entries(BROKEN)) {
  Deno.test(`${what} puts that route on legacy, and no other one`, () => {
    const row: typeof ROW | Record<string, unknown> = { ...ROW, ...change };
    const name = row.operation === "createAudit" ? "createAudit" : "login";
    const { routes, broken } = parseRouting([row, { ...ROW, operation: "getHealth" }]);
    deepStrictEqual(broken, [name]);
    deepStrictEqual(routes.get(name), onLegacy(untouchedRoute(name)));
    strictEqual(routes.get("getHealth")?.mode.name, "canary");
  });
}

Deno.test("an operation that only another version of Lotline has is left out", () => {
  const { routes, broken } = parseRouting([{ ...ROW, operation: "createShipment" }]);
  deepStrictEqual([routes.size, broken], [OPERATIONS.length, []]);
});

Deno.test("a kill switch that is on, missing, or unreadable kills", () => {
  const killed = { killed: true, killed_by: "ana", killed_why: "smoke" };
  deepStrictEqual(parseRouting([{ ...ROW, ...killed }]).killed, { who: "ana", why: "smoke" });
  for (const odd of [[], [{ ...ROW, killed: null }], [{ ...ROW, killed: "f" }]]) {
    strictEqual(parseRouting(odd).killed?.who, "gateway");
  }
});

Deno.test("an operation that only Lotline has may be on either upstream, and is never compared", () => {
  const modes = [
    { name: "legacy" },
    { name: "shadow" },
    { name: "canary", percent: 10 },
    { name: "service" },
  ] as const;
  const possible = (operation: "login" | "createAudit") =>
    modes.filter((mode) => isPossible(operation, mode)).map(({ name }) => name);
  deepStrictEqual(possible("login"), modes.map(({ name }) => name));
  deepStrictEqual(possible("createAudit"), ["legacy", "service"]);
});

Deno.test("a route that is temporarily on legacy changes only its mode", () => {
  const route = { ...untouchedRoute("login"), epoch: 4, latch: undefined };
  for (const name of ["shadow", "service"] as const) {
    deepStrictEqual(onLegacy({ ...route, mode: { name } }), route);
  }
  deepStrictEqual(onLegacy({ ...route, mode: { name: "canary", percent: 10 } }), route);
  strictEqual(onLegacy(route), route);
  deepStrictEqual([route.mode, route.samplePercent], [{ name: "legacy" }, 100]);
});
