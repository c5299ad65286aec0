import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { figures, HEALTHY, THRESHOLDS, WRITE_IN_SERVICE } from "../testing/verdict_evidence.ts";
import type { Thresholds } from "./thresholds.ts";
import type { Mode } from "../exchange/route.ts";
import { judge, NO_FIGURES, type RouteEvidence, type Verdict } from "./verdict.ts";

const SERVICE: Mode = { name: "service" };
const LEGACY: Mode = { name: "legacy" };

const CASES: [what: string, evidence: Partial<RouteEvidence>, verdict: Verdict, says?: RegExp][] = [
  ["enough of everything and nothing against it", {}, "pass"],
  [
    "one difference among thousands",
    {
      different: 1,
      places: ["body.central.weight_kg", "header etag"],
    },
    "fail",
    /^1 unapproved difference, the last at body\.central\.weight_kg, header etag$/,
  ],
  [
    "one difference and no samples",
    {
      different: 1,
      legacy: NO_FIGURES,
      service: NO_FIGURES,
      outcomes: {},
    },
    "fail",
    /^1 unapproved difference$/,
  ],
  [
    "a difference at many places",
    {
      different: 2,
      places: ["a", "b", "c", "d", "e", "f"],
    },
    "fail",
    /^2 unapproved differences, the last at a, b, c, d, e, …$/,
  ],
  [
    "nothing at all",
    { legacy: NO_FIGURES, service: NO_FIGURES, outcomes: {} },
    "inconclusive",
    /^0 of 200 responses of Lotline; 0 of 200 responses of the old server; 0 of 200 comparisons/,
  ],
  [
    "one response of Lotline too few",
    { service: figures(199) },
    "inconclusive",
    /^199 of 200 responses/,
  ],
  ["one response of the old server too few", { legacy: figures(199) }, "inconclusive"],
  ["just enough responses", { service: figures(200), legacy: figures(200) }, "pass"],
  [
    "one comparison too few",
    { outcomes: { same: 149, approved: 50 } },
    "inconclusive",
    /^199 of 200 comparisons without a difference$/,
  ],
  ["just enough comparisons", { outcomes: { same: 150, approved: 50 } }, "pass"],
  ["comparisons that were all lost", { outcomes: { lost: 100_000 } }, "inconclusive"],
  ["comparisons that all got no response", { outcomes: { unanswered: 100_000 } }, "inconclusive"],
  [
    "comparisons that were all explained by changes",
    { outcomes: { raced: 900 } },
    "inconclusive",
  ],
  [
    "enough comparisons, and 5 % more unanswered",
    { outcomes: { same: 950, unanswered: 50 } },
    "pass",
  ],
  [
    "enough comparisons, and more unanswered",
    { outcomes: { same: 949, unanswered: 51 } },
    "inconclusive",
    /^51 of 1000 comparisons had no response$/,
  ],
  ["5 % lost", { outcomes: { same: 950, lost: 50 } }, "pass"],
  [
    "97 % lost, however many are left",
    { outcomes: { same: 600, lost: 20_000 }, coverage: { success: 600, size: 19_000, queue: 900 } },
    "inconclusive",
    /^20000 of 20600 comparisons were lost \(size 19,000, queue 900, unknown 100\), more than 5 %$/,
  ],
  [
    "more due than ever had an outcome",
    { coverage: { success: 900, due: 1_001 } },
    "inconclusive",
    /^51 of 1001 comparisons were lost \(no outcome \(such as a killed gateway\) 51\)/,
  ],
  ["more lost than 5 %, with a difference", {
    different: 1,
    outcomes: { same: 600, lost: 20_000 },
  }, "fail"],
  ["20 % explained by changes", { outcomes: { same: 800, raced: 200 } }, "pass"],
  [
    "more than 20 % explained by changes",
    { outcomes: { same: 799, raced: 201 } },
    "inconclusive",
    /^201 of 1000 comparisons differed because the data changed, more than 20 %$/,
  ],
  [
    "errors alone, all alike",
    { coverage: { success: 19 } },
    "inconclusive",
    /^19 of 20 comparisons of 2xx responses$/,
  ],
  ["a write in service, which is compared with nothing", {
    ...WRITE_IN_SERVICE,
    coverage: {},
    outcomes: { lost: 1 },
  }, "pass"],
  ["1 % late", { outcomes: { same: 990, late: 10 } }, "pass"],
  [
    "more than 1 % late",
    { outcomes: { same: 989, late: 11 } },
    "fail",
    /^11 of 1000 comparisons were late/,
  ],
  [
    "2 late among few: 198 may follow that are not",
    { outcomes: { same: 1, late: 2 } },
    "inconclusive",
  ],
  ["3 late among few: no 200 can make that good", { outcomes: { same: 1, late: 3 } }, "fail"],
  ["errors on the margin", { service: figures(1_000, { errors: 10 }) }, "pass"],
  [
    "errors beyond the margin",
    { service: figures(1_000, { errors: 11 }) },
    "fail",
    /^11 of 1000 requests failed at Lotline \(11 with 5xx, 0 without a response\), 0 % at the old/,
  ],
  [
    "silences beyond the margin",
    { service: figures(1_000, { silences: 11 }) },
    "fail",
    /11 without/,
  ],
  ["errors and silences beyond it together", {
    service: figures(1_000, { errors: 6, silences: 6 }),
  }, "fail"],
  ["errors that both sides have", {
    service: figures(1_000, { errors: 300 }),
    legacy: figures(1_000, { errors: 300 }),
  }, "pass"],
  ["errors beyond those of the old side", {
    service: figures(1_000, { errors: 320 }),
    legacy: figures(1_000, { errors: 300 }),
  }, "fail"],
  ["an outage that has just started on both upstreams", {
    service: figures(20, { errors: 20 }),
    legacy: figures(20, { errors: 20 }),
  }, "inconclusive"],
  ["2 errors among few", { service: figures(20, { errors: 2 }) }, "inconclusive"],
  ["3 errors among few: no 200 can make that good", { service: figures(3, { errors: 3 }) }, "fail"],
  [
    "all of it 100 ms slower",
    { service: figures(1_000, { ms: 110 }) },
    "fail",
    /^Lotline's p99 is 1\d\d ms, the old server's [\d.]+ ms: the limit is (69|7\d)\.?\d* ms$/,
  ],
  ["50 ms slower", { service: figures(1_000, { ms: 60 }) }, "pass"],
  ["1 % slow", { service: figures(1_000, { slow: 10 }) }, "pass"],
  ["more than 1 % slow", { service: figures(1_000, { slow: 11 }) }, "fail"],
  ["both sides slow", {
    service: figures(1_000, { slow: 20 }),
    legacy: figures(1_000, { slow: 20 }),
  }, "pass"],
  ["the few slow responses of a cold start", { service: figures(200, { slow: 4 }) }, "pass"],
  ["more of them", { service: figures(200, { slow: 5 }) }, "fail"],
  ["slow, of too few to know", { service: figures(199, { ms: 900 }) }, "inconclusive"],
  ["slow, compared with too few of the old server", {
    service: figures(1_000, { ms: 900 }),
    legacy: figures(199),
  }, "inconclusive"],
  [
    "a canary that moved no client",
    { share: { requests: 500, movedRequests: 0, clients: 1, movedClients: 0 } },
    "inconclusive",
    /^nobody was moved: Lotline answered none of 500 requests of 1 client, so that canary 10 % shows nothing$/,
  ],
  [
    "a canary that moved everybody",
    { share: { requests: 500, movedRequests: 500, clients: 1, movedClients: 1 } },
    "inconclusive",
    /^everybody was moved: Lotline answered all of 500 requests of 1 client, so that canary 10 % is no step$/,
  ],
  [
    "a canary of which no client was seen",
    { share: { requests: 0, movedRequests: 0, clients: 0, movedClients: 0 } },
    "inconclusive",
    /^no client was seen, so that canary 10 % shows nothing$/,
  ],
  [
    "a canary that moved too many clients",
    { share: { requests: 1_000, movedRequests: 100, clients: 5, movedClients: 2 } },
    "inconclusive",
    /^Lotline answered 100 of 1000 requests \(10 %\), for 2 of 5 clients \(40 %\): that is far from canary 10 %$/,
  ],
  [
    "a canary of the right clients, one of which sends most of the requests",
    { share: { requests: 1_000, movedRequests: 990, clients: 10, movedClients: 1 } },
    "inconclusive",
    /990 of 1000 requests \(99 %\)/,
  ],
  [
    "a canary of the right clients that send next to nothing",
    { share: { requests: 10_000, movedRequests: 20, clients: 10, movedClients: 1 } },
    "inconclusive",
    /20 of 10000 requests \(0.2 %\)/,
  ],
  [
    "a canary near its step, as chance has it",
    { share: { requests: 1_000, movedRequests: 30, clients: 40, movedClients: 7 } },
    "pass",
  ],
  [
    "a shadow, which moves no client",
    {
      mode: { name: "shadow" },
      share: { requests: 1_000, movedRequests: 0, clients: 1, movedClients: 0 },
    },
    "pass",
  ],
  ["a write in service, compared with the old server's earlier evidence", WRITE_IN_SERVICE, "pass"],
  ["a write in service that is slower than the old server was", {
    ...WRITE_IN_SERVICE,
    service: figures(1_000, { ms: 110 }),
  }, "fail"],
  ["a write in service that fails, with no old server to be held against", {
    ...WRITE_IN_SERVICE,
    legacyBefore: NO_FIGURES,
    service: figures(1_000, { errors: 11 }),
  }, "fail"],
  [
    "a write in service that was never elsewhere",
    {
      ...WRITE_IN_SERVICE,
      legacyBefore: NO_FIGURES,
    },
    "inconclusive",
    /^0 of 200 responses of the old server$/,
  ],
  ["a write in shadow without comparisons", {
    ...WRITE_IN_SERVICE,
    mode: { name: "shadow" },
  }, "inconclusive"],
  ["a read in service without comparisons", { mode: SERVICE, outcomes: {} }, "inconclusive"],
  ["a few requests of the old server's share, all failed, and many good ones earlier", {
    legacy: figures(2, { errors: 2 }),
    legacyBefore: figures(1_000),
    service: figures(1_000, { errors: 100 }),
  }, "fail"],
  ["a route on legacy", { mode: LEGACY }, "inconclusive", /^all requests go to the old server$/],
];

for (const [what, evidence, verdict, says] of CASES) {
  Deno.test(`${what}: ${verdict}`, () => {
    const judgement = judge({ ...HEALTHY, ...evidence }, THRESHOLDS);
    strictEqual(judgement.verdict, verdict, judgement.reasons.join("; "));
    match(judgement.reasons.join("; "), says ?? (verdict === "pass" ? /^$/ : /./));
  });
}

Deno.test("every finding against a route is reported", () => {
  const { reasons } = judge({
    ...HEALTHY,
    different: 1,
    outcomes: { same: 900, late: 100 },
    service: figures(1_000, { errors: 500, ms: 900 }),
  }, THRESHOLDS);
  deepStrictEqual(reasons.map((reason) => reason.split(" ").slice(-2).join(" ")), [
    "unapproved difference",
    "1 %",
    "old server",
    "69.8 ms",
  ]);
});

Deno.test("a route is judged by the thresholds", () => {
  const loose: Thresholds = {
    ...THRESHOLDS,
    min_samples: 10,
    error_margin_percent: 60,
    latency_factor: 100,
    late_percent: 60,
    silence_percent: 60,
    share_factor: 100,
    lost_percent: 60,
    raced_percent: 60,
    min_successes: 9,
  };
  const evidence: RouteEvidence = {
    ...HEALTHY,
    service: figures(20, { errors: 10, ms: 900 }),
    legacy: figures(20),
    share: { requests: 20, movedRequests: 15, clients: 4, movedClients: 3 },
    outcomes: { same: 20, late: 10, unanswered: 10, lost: 20, raced: 10 },
    coverage: { success: 9 },
  };
  strictEqual(judge(evidence, loose).verdict, "pass");
  strictEqual(judge(evidence, { ...loose, error_margin_percent: 49 }).verdict, "fail");
  strictEqual(judge(evidence, { ...loose, latency_factor: 50 }).verdict, "fail");
  strictEqual(judge(evidence, { ...loose, late_percent: 24 }).verdict, "fail");
  strictEqual(judge(evidence, { ...loose, silence_percent: 33 }).verdict, "inconclusive");
  strictEqual(judge(evidence, { ...loose, lost_percent: 28 }).verdict, "inconclusive");
  strictEqual(judge(evidence, { ...loose, raced_percent: 24 }).verdict, "inconclusive");
  strictEqual(judge(evidence, { ...loose, min_successes: 10 }).verdict, "inconclusive");
  strictEqual(judge(evidence, { ...loose, share_factor: 20 }).verdict, "inconclusive");
  strictEqual(judge(evidence, { ...loose, min_samples: 21 }).verdict, "inconclusive");
});
