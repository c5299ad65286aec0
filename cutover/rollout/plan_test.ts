import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { LEGACY_OPERATIONS } from "../exchange/operations.ts";
import {
  nextStep,
  parseSteps,
  PLAN_ORDER,
  type PlanOptions,
  samplesOf,
  type Standing,
  stepsText,
} from "./plan.ts";
import type { Mode } from "../exchange/route.ts";
import type { Judgement } from "./verdict.ts";
import type { RouteVerdict } from "./verdicts.ts";

const SHADOW: Mode = { name: "shadow" };
const SERVICE: Mode = { name: "service" };
const LEGACY: Mode = { name: "legacy" };
const canary = (percent: number): Mode => ({ name: "canary", percent });

const OPTIONS: PlanOptions = {
  steps: [SHADOW, canary(1), canary(10), canary(50), SERVICE],
  soakMs: 600_000,
  samples: 100,
  patienceMs: 1_200_000,
};
const PASS: Judgement = { verdict: "pass", reasons: [] };

/** How many of these clients a canary of 0 to 100 % moves. */
const clientsBelow = (buckets: readonly number[]) =>
  Array.from({ length: 101 }, (_, n) => buckets.filter((bucket) => bucket < n * 100).length);

function routeOn(
  mode: Mode,
  { epoch = 4, seconds = 600, same = 100, judgement = PASS, latch, buckets }: {
    epoch?: number;
    seconds?: number;
    same?: number;
    judgement?: Judgement;
    latch?: string;
    /** Of the clients that were seen. */
    buckets?: readonly number[];
  } = {},
): RouteVerdict {
  const pace = { p50: 1, p99: 2 };
  return {
    operation: "login",
    route: {
      operation: "login",
      mode,
      epoch,
      samplePercent: 100,
      latch,
      changedAt: "2026-01-01T00:00:00.000Z",
    },
    judgement,
    ...buckets && { clientsBelow: clientsBelow(buckets), shareFactor: 5 },
    counts: {
      operation: "login",
      epoch,
      seconds,
      first: null,
      last: null,
      requests: {},
      outcomes: { same },
      coverage: {},
      approvals: {},
    },
    legacy: pace,
    service: pace,
  };
}

const standing = (now: RouteVerdict, more: Partial<Standing> = {}): Standing => ({
  killed: false,
  now,
  expectedEpoch: 4,
  waitedMs: 0,
  ...more,
});

Deno.test("a route moves to the next greater share, from any position", () => {
  const ways: [from: Mode, to: Mode][] = [
    [LEGACY, SHADOW],
    [SHADOW, canary(1)],
    [canary(1), canary(10)],
    [canary(7), canary(10)],
    [canary(10), canary(50)],
    [canary(99), SERVICE],
  ];
  for (const [from, to] of ways) {
    deepStrictEqual(nextStep(standing(routeOn(from)), OPTIONS), { do: "move", to });
  }
  deepStrictEqual(nextStep(standing(routeOn(SERVICE)), OPTIONS), { do: "done" });
});

Deno.test("legacy is left immediately; every other step needs its time, its samples and its verdict", () => {
  const fresh = { seconds: 0, same: 0 };
  strictEqual(nextStep(standing(routeOn(LEGACY, fresh)), OPTIONS).do, "move");
  const lacking: [Parameters<typeof routeOn>[1], RegExp][] = [
    [{ seconds: 599 }, /^10 of 10 minutes$/],
    [{ seconds: 60 }, /^1 of 10 minutes$/],
    [{ same: 99 }, /^99 of 100 samples$/],
    [{ judgement: { verdict: "inconclusive", reasons: ["a reason"] } }, /^a reason$/],
    [{ seconds: 60, same: 3 }, /^1 of 10 minutes; 3 of 100 samples$/],
  ];
  for (const mode of [SHADOW, canary(10), SERVICE]) {
    for (const [lack, why] of lacking) {
      const step = nextStep(standing(routeOn(mode, lack)), OPTIONS);
      strictEqual(step.do, "wait");
      match(step.why, why);
    }
  }
});

Deno.test("a plan that waits says what keeps its evidence from being enough, and what to do", () => {
  const now = {
    ...routeOn(SHADOW, { same: 3 }),
    hindrances: [{ why: "no request has come", todo: "send some" }],
  };
  deepStrictEqual(nextStep(standing(now), OPTIONS), {
    do: "wait",
    why: "3 of 100 samples; no request has come. To do: send some",
  });
});

Deno.test("a plan stops at any unexpected state", () => {
  const stops: [Standing, RegExp][] = [
    [standing(routeOn(SHADOW), { killed: true }), /kill switch/],
    [standing(routeOn(LEGACY), { killed: true }), /kill switch/],
    [standing(routeOn(LEGACY, { latch: "3 errors" })), /rolled back: 3 errors/],
    [
      standing(routeOn(canary(50)), { expectedEpoch: 3 }),
      /someone else has set it to canary 50 %/,
    ],
    [standing(routeOn(LEGACY), { expectedEpoch: 3 }), /someone else has set it to legacy/],
    [
      standing(routeOn(SHADOW, { judgement: { verdict: "fail", reasons: ["a", "b"] } })),
      /^a; b$/,
    ],
  ];
  for (const [from, why] of stops) {
    const step = nextStep(from, OPTIONS);
    strictEqual(step.do, "stop");
    match(step.why, why);
  }
});

const spread = (count: number) =>
  Array.from({ length: count }, (_, at) => at * 10_000 / count + 50);

Deno.test("a canary that would move none or far too many of the seen clients is skipped for a greater one", () => {
  const ways: [buckets: readonly number[], from: Mode, to: Mode, leftOut: string[]][] = [
    [spread(100), SHADOW, canary(1), []],
    [[150, ...spread(19).slice(1)], SHADOW, canary(10), [
      "canary 1 % would move none of 19 clients seen",
    ]],
    [[50, 9_000], SHADOW, canary(50), [
      "canary 1 % would move 1 of 2 clients seen (50 %)",
      "canary 10 % would move 1 of 2 clients seen (50 %)",
    ]],
    [spread(100), canary(50), SERVICE, []],
    [[], SHADOW, canary(1), []],
  ];
  for (const [buckets, from, to, leftOut] of ways) {
    deepStrictEqual(nextStep(standing(routeOn(from, { buckets })), OPTIONS), {
      do: "move",
      to,
      ...leftOut.length > 0 && { leftOut },
    });
  }
});

Deno.test("where no canary can work, a plan waits instead of moving all clients, and names the next step", () => {
  for (const [bucket, moves] of [[50, "all"], [9_000, "none"]] as const) {
    const now = routeOn(SHADOW, { buckets: [bucket] });
    const step = nextStep(standing(now), OPTIONS);
    strictEqual(step.do, "wait");
    strictEqual(
      step.why,
      [1, 10, 50].map((n) => `canary ${n} % would move ${moves} of 1 client seen`).join("; ") +
        ": no canary on the way to Lotline is possible. Tell clients apart by CANARY_BY, or leave " +
        "the canary out with --steps shadow,100",
    );
    deepStrictEqual(nextStep(standing(now), { ...OPTIONS, steps: [SHADOW, SERVICE] }), {
      do: "move",
      to: SERVICE,
    });
  }
});

Deno.test("an epoch without evidence has neither time nor samples", () => {
  const now = routeOn(SHADOW);
  const { seconds: _, ...counts } = now.counts;
  const unknown = { ...now, counts: { ...counts, seconds: null, outcomes: {} } };
  const step = nextStep(standing(unknown), OPTIONS);
  deepStrictEqual(step, { do: "wait", why: "0 of 10 minutes; 0 of 100 samples" });
});

Deno.test("a plan without a step above legacy stops at once", () => {
  const step = nextStep(standing(routeOn(LEGACY)), { ...OPTIONS, steps: [] });
  deepStrictEqual(step, { do: "stop", why: "the plan has no step for it" });
});

Deno.test("a plan leaves legacy for a mode in which Lotline responds only by force", () => {
  for (const first of [canary(1), SERVICE]) {
    const steps = { ...OPTIONS, steps: [first] };
    const step = nextStep(standing(routeOn(LEGACY)), steps);
    strictEqual(step.do, "stop");
    match(step.why, /^it is on legacy, and its first step is .*, or add --force$/);
    const forced = nextStep(standing(routeOn(LEGACY)), { ...steps, force: true });
    deepStrictEqual(forced, { do: "move", to: first });
  }
});

Deno.test("the timeout starts when the soak is over", () => {
  const lacking = routeOn(SHADOW, { same: 3 });
  const after = (waitedMs: number) => nextStep(standing(lacking, { waitedMs }), OPTIONS);
  strictEqual(after(1_800_000).do, "wait");
  const late = after(1_800_001);
  strictEqual(late.do, "stop");
  match(late.why, /^inconclusive after 30 minutes: 3 of 100 samples$/);
  strictEqual(nextStep(standing(routeOn(SHADOW), { waitedMs: 1e9 }), OPTIONS).do, "move");
});

Deno.test("samples are comparisons, or responses where none are made", () => {
  const counted = (operation: RouteVerdict["operation"], mode: Mode): RouteVerdict => {
    const now = routeOn(mode);
    const counts = {
      ...now.counts,
      requests: { legacy: 70, service: 50 },
      outcomes: { same: 5, approved: 2, late: 9, raced: 9, lost: 9, unanswered: 9 },
    };
    return { ...now, operation, counts };
  };
  strictEqual(samplesOf(counted("login", SERVICE)), 7);
  strictEqual(samplesOf(counted("createLot", canary(50))), 7);
  strictEqual(samplesOf(counted("createLot", SERVICE)), 50);
});

Deno.test("steps are shadow and increasing shares", () => {
  deepStrictEqual(parseSteps("shadow,1,10,50,100"), OPTIONS.steps);
  deepStrictEqual(parseSteps(" 25 , 100 "), [canary(25), SERVICE]);
  for (const text of ["shadow,1,10,50,100", "25,100", "shadow"]) {
    strictEqual(stepsText(parseSteps(text) ?? []), text);
  }
  for (
    const wrong of [
      "",
      "shadow,",
      "10,10",
      "50,10",
      "0",
      "101",
      "-1",
      "1.5",
      "legacy",
      "service",
      "1,shadow",
      "x",
    ]
  ) {
    strictEqual(parseSteps(wrong), undefined, wrong);
  }
});

Deno.test("a plan for all has every operation of the old API", () => {
  deepStrictEqual([...PLAN_ORDER].sort(), [...LEGACY_OPERATIONS].sort());
});
