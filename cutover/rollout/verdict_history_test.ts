import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { figures, HEALTHY, THRESHOLDS, WRITE_IN_SERVICE } from "../testing/verdict_evidence.ts";
import type { Thresholds } from "./thresholds.ts";
import { judge, type RouteEvidence, type UpstreamFigures } from "./verdict.ts";

/**
 * A write in service, compared with the old server's earlier evidence: so many requests, some of
 * them failed.
 */
const besideBefore = (
  before: UpstreamFigures,
  service: UpstreamFigures,
  limits: Partial<Thresholds> = {},
) => judge({ ...WRITE_IN_SERVICE, legacyBefore: before, service }, { ...THRESHOLDS, ...limits });

Deno.test("the old server's earlier failures excuse as many of Lotline's, errors and missing responses alike", () => {
  const failing = figures(1_000, { errors: 300 });
  for (const before of [{ errors: 300 }, { silences: 300 }, { errors: 150, silences: 150 }]) {
    strictEqual(besideBefore(figures(1_000, before), failing).verdict, "pass");
  }
  strictEqual(besideBefore(figures(1_000, { silences: 280 }), failing).verdict, "fail");
  const { reasons } = besideBefore(figures(1_000, { errors: 100, silences: 100 }), failing);
  match(reasons.join(), /, 20 % at the old server$/);
});

Deno.test("with enough responses of the old server now, its earlier evidence no longer counts", () => {
  const evidence: RouteEvidence = {
    ...HEALTHY,
    legacy: figures(200),
    legacyBefore: figures(1_000, { errors: 1_000, ms: 900 }),
  };
  const judged = (service: UpstreamFigures) => judge({ ...evidence, service }, THRESHOLDS).verdict;
  strictEqual(judged(figures(1_000)), "pass");
  strictEqual(judged(figures(1_000, { errors: 100 })), "fail");
  strictEqual(judged(figures(1_000, { ms: 900 })), "fail", "two hundred are enough for its p99");
});

Deno.test("an old server without requests has no failures", () => {
  const evidence: RouteEvidence = {
    ...HEALTHY,
    legacy: figures(100),
    service: figures(200, { errors: 2 }),
  };
  strictEqual(judge(evidence, { ...THRESHOLDS, error_margin_percent: 0 }).verdict, "fail");
});

Deno.test("comparisons explained by a change count among those that might be stale", () => {
  const outcomes = { same: 800, raced: 189, late: 11 };
  const { verdict, reasons } = judge({ ...HEALTHY, outcomes }, THRESHOLDS);
  deepStrictEqual([verdict, reasons[0]?.slice(0, 23)], ["fail", "11 of 1000 comparisons "]);
  strictEqual(
    judge({ ...HEALTHY, outcomes: { same: 800, raced: 190, late: 10 } }, THRESHOLDS).verdict,
    "pass",
  );
  const strict = { ...THRESHOLDS, min_samples: 1, late_percent: 0, silence_percent: 0 };
  strictEqual(judge({ ...HEALTHY, outcomes: { late: 1 } }, strict).verdict, "fail");
  strictEqual(judge(HEALTHY, strict).verdict, "pass", "nothing is late or unanswered");
});

Deno.test("one failure of any share may be an accident, two are none", () => {
  const few = { ...THRESHOLDS, min_samples: 10 };
  const failed = (errors: number) =>
    judge({ ...HEALTHY, service: figures(20, { errors }) }, few).verdict;
  deepStrictEqual([failed(1), failed(2)], ["pass", "fail"]);
});

Deno.test("five places are named without a hint at more", () => {
  const { reasons } = judge(
    { ...HEALTHY, different: 1, places: ["a", "b", "c", "d", "e"] },
    THRESHOLDS,
  );
  match(reasons.join(), /, the last at a, b, c, d, e$/);
});

Deno.test("among all repeated comparisons, stale and approved ones count as well as explained ones", () => {
  const loose = { ...THRESHOLDS, late_percent: 50 };
  const judged = (raced: number) =>
    judge({ ...HEALTHY, outcomes: { same: 500, approved: 100, raced, late: 200 } }, loose).verdict;
  deepStrictEqual([judged(200), judged(201)], ["pass", "inconclusive"]);
});
