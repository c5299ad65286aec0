import { match, strictEqual } from "node:assert/strict";
import type { Operation } from "../exchange/operations.ts";
import type { Mode } from "../exchange/route.ts";
import { refusalOf, untouchedRoute } from "./routing.ts";

const legacy: Mode = { name: "legacy" };
const shadow: Mode = { name: "shadow" };
const canary: Mode = { name: "canary", percent: 10 };
const service: Mode = { name: "service" };

const REFUSALS = {
  not_comparable: /is not in the old API/,
  changed_meanwhile: /was changed by somebody else meanwhile/,
  latched: /is held until somebody clears it/,
  killed: /^The kill switch is on/,
};

interface Case {
  readonly operation?: Operation;
  readonly is?: Mode;
  readonly latch?: string;
  readonly killed?: true;
  /** The route's is 7. */
  readonly expected?: number;
  readonly to: Mode;
  readonly refused?: keyof typeof REFUSALS;
}

const CASES: Case[] = [
  { to: shadow },
  { to: canary },
  // A person may skip steps; the plan skips none.
  { to: service },
  { is: service, to: legacy },
  { is: canary, to: { name: "canary", percent: 50 } },
  { operation: "createAudit", to: service },
  { operation: "createAudit", is: service, to: legacy },
  { operation: "createAudit", to: shadow, refused: "not_comparable" },
  { operation: "createAudit", to: canary, refused: "not_comparable" },
  { latch: "wrong", to: shadow, refused: "latched" },
  { latch: "wrong", to: canary, refused: "latched" },
  { latch: "wrong", to: service, refused: "latched" },
  { latch: "wrong", to: legacy },
  { killed: true, to: shadow, refused: "killed" },
  { killed: true, to: canary, refused: "killed" },
  { killed: true, to: service, refused: "killed" },
  { killed: true, is: canary, to: legacy },
  { killed: true, latch: "wrong", to: legacy },
  { expected: 7, to: canary },
  { expected: 6, to: canary, refused: "changed_meanwhile" },
  { expected: 8, to: canary, refused: "changed_meanwhile" },
  { expected: 6, is: canary, to: legacy, refused: "changed_meanwhile" },
];

for (const { operation = "getTraceability", is = legacy, to, refused, ...rest } of CASES) {
  const what = `${operation} on ${is.name}, ${JSON.stringify(rest)}`;
  Deno.test(`${what}, ${refused ? `is not set to ${to.name}: ${refused}` : `is set to ${to.name}`}`, () => {
    const route = { ...untouchedRoute(operation), mode: is, epoch: 7, latch: rest.latch };
    const killed = rest.killed && { who: "ana", why: "smoke" };
    const refusal = refusalOf(route, to, killed, rest.expected);
    if (refused === undefined) strictEqual(refusal, undefined);
    else match(refusal ?? "", REFUSALS[refused]);
  });
}

Deno.test("a refusal gives the reason in a sentence with the next step", () => {
  const route = { ...untouchedRoute("login"), epoch: 7 };
  const say = (change: Partial<typeof route>, killed?: { who: string; why: string }) =>
    refusalOf({ ...route, ...change }, shadow, killed);
  strictEqual(
    say({ latch: "3 of 200 answers differ" }),
    "login was rolled back and is held until somebody clears it: 3 of 200 answers differ",
  );
  strictEqual(
    say({}, { who: "ana", why: "smoke" }),
    "The kill switch is on (ana: smoke): until it is released, a route can only be set to legacy",
  );
});
