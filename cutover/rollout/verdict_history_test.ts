import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { HEALTHY, LIMITS, side, WRITE_IN_SERVICE } from "../testing/verdict_evidence.ts";
import type { Limits } from "./thresholds.ts";
import { judge, type RouteEvidence, type SideFigures } from "./verdict.ts";

/** A write in service beside what the old server was before: so many requests, some of them failed. */
const besideBefore = (before: SideFigures, service: SideFigures, limits: Partial<Limits> = {}) =>
  judge({ ...WRITE_IN_SERVICE, legacyBefore: before, service }, { ...LIMITS, ...limits });

Deno.test("what the old server failed at earlier excuses as much at Lotline, errors and silences alike", () => {
  const failing = side(1_000, { errors: 300 });
  for (const before of [{ errors: 300 }, { silences: 300 }, { errors: 150, silences: 150 }]) {
    strictEqual(besideBefore(side(1_000, before), failing).verdict, "pass");
  }
  strictEqual(besideBefore(side(1_000, { silences: 280 }), failing).verdict, "fail");
  const { reasons } = besideBefore(side(1_000, { errors: 100, silences: 100 }), failing);
  match(reasons.join(), /, 20 % at the old server$/);
});

Deno.test("once the old server answers often enough, what it was earlier counts no more", () => {
  const evidence: RouteEvidence = {
    ...HEALTHY,
    legacy: side(200),
    legacyBefore: side(1_000, { errors: 1_000, ms: 900 }),
  };
  const judged = (service: SideFigures) => judge({ ...evidence, service }, LIMITS).verdict;
  strictEqual(judged(side(1_000)), "pass");
  strictEqual(judged(side(1_000, { errors: 100 })), "fail");
  strictEqual(judged(side(1_000, { ms: 900 })), "fail", "two hundred are enough for its p99");
});

Deno.test("an old server that was never asked has failed at nothing", () => {
  const evidence: RouteEvidence = {
    ...HEALTHY,
    legacy: side(100),
    service: side(200, { errors: 2 }),
  };
  strictEqual(judge(evidence, { ...LIMITS, error_margin_percent: 0 }).verdict, "fail");
});

Deno.test("comparisons that a change explains count among those that might have been late", () => {
  const outcomes = { same: 800, raced: 189, late: 11 };
  const { verdict, reasons } = judge({ ...HEALTHY, outcomes }, LIMITS);
  deepStrictEqual([verdict, reasons[0]?.slice(0, 23)], ["fail", "11 of 1000 comparisons "]);
  strictEqual(
    judge({ ...HEALTHY, outcomes: { same: 800, raced: 190, late: 10 } }, LIMITS).verdict,
    "pass",
  );
  const strict = { ...LIMITS, min_samples: 1, late_percent: 0, silence_percent: 0 };
  strictEqual(judge({ ...HEALTHY, outcomes: { late: 1 } }, strict).verdict, "fail");
  strictEqual(judge(HEALTHY, strict).verdict, "pass", "nothing is late or unanswered");
});

Deno.test("one failure may be an accident whatever share it is, two are none", () => {
  const few = { ...LIMITS, min_samples: 10 };
  const failed = (errors: number) =>
    judge({ ...HEALTHY, service: side(20, { errors }) }, few).verdict;
  deepStrictEqual([failed(1), failed(2)], ["pass", "fail"]);
});

Deno.test("five places are named without more being hinted at", () => {
  const { reasons } = judge(
    { ...HEALTHY, different: 1, places: ["a", "b", "c", "d", "e"] },
    LIMITS,
  );
  match(reasons.join(), /, the last at a, b, c, d, e$/);
});

Deno.test("of all that was looked at twice, the late and the approved count beside the explained", () => {
  const loose = { ...LIMITS, late_percent: 50 };
  const judged = (raced: number) =>
    judge({ ...HEALTHY, outcomes: { same: 500, approved: 100, raced, late: 200 } }, loose).verdict;
  deepStrictEqual([judged(200), judged(201)], ["pass", "not enough yet"]);
});
