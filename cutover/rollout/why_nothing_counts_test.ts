import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { describeHindrance, type SeenOfRoute, whyNothingCounts } from "./why_nothing_counts.ts";

const LIMITS = { min_samples: 200, window_seconds: 300, lost_percent: 5, silence_percent: 5 };

/** A canary of two kinds of clients with enough of everything. */
const ENOUGH: SeenOfRoute = {
  operation: "createLot",
  mode: { name: "canary", percent: 10 },
  samplePercent: 100,
  seconds: 600,
  requests: 2_000,
  share: { requests: 1_000, movedRequests: 100, clients: 40, movedClients: 4 },
  outcomes: { same: 900 },
  coverage: { due: 900, success: 900 },
};

const one = { requests: 40, clients: 1 } as const;

const CASES: [what: string, seen: Partial<SeenOfRoute>, sentence: RegExp][] = [
  [
    "one client on Lotline's side",
    { share: { ...one, movedRequests: 40, movedClients: 1 }, outcomes: {}, coverage: {} },
    /^all requests \(40\) come from one client, and it is on Lotline's side, so that the canary is no step and no write is compared\. To do: name the proxy in TRUSTED_PROXIES.*CANARY_BY/,
  ],
  [
    "one client on the old server's side",
    { share: { ...one, movedRequests: 0, movedClients: 0 } },
    /^all requests \(40\) come from one client, and it is on the old server's side, so that the canary moves nobody\. To do: name the proxy/,
  ],
  [
    "all clients on Lotline's side",
    { share: { requests: 40, movedRequests: 40, clients: 3, movedClients: 3 } },
    /^all 3 clients \(40 requests\) are alike, and are on Lotline's side/,
  ],
  [
    "a write without traffic",
    { requests: 0, seconds: 900 },
    /^no request has come since the last change, 15 min ago\. To do: .*gateway's address; a write needs clients/,
  ],
  [
    "a read without traffic",
    { operation: "getHealth", requests: 0, seconds: 9_000 },
    /^no request has come since the last change, 2 h ago\. To do: .* deno task cutover probe$/,
  ],
  [
    "a quiet plant",
    { seconds: 3_600, outcomes: { same: 60 }, coverage: { due: 60, success: 60 } },
    /^it is too quiet: about 5 samples in a window of 300 s, and a verdict needs 200\. To do: .*limits window_seconds=86400 min_samples=50 --why/,
  ],
  [
    "lost comparisons",
    { outcomes: { same: 900, lost: 300 }, coverage: { due: 1_200, size: 280, queue: 20 } },
    /^300 of 1200 comparisons were lost \(size 280, queue 20\)\. To do: raise GATEWAY_BODY_LIMIT/,
  ],
  [
    "dry runs that end",
    { outcomes: { same: 100, unanswered: 300 }, coverage: { due: 400, not_asked: 300 } },
    /^300 of 400 comparisons had no response \(not asked 300\)\. To do: .*DRY_RUN_SECRET/,
  ],
  [
    "a sample of nothing",
    { samplePercent: 0 },
    /^its sample is 0 %, so that no request is compared\. To do: deno task cutover sample createLot 100/,
  ],
];

for (const [what, seen, sentence] of CASES) {
  Deno.test(`${what}: the reason, and what to do`, () => {
    const found = whyNothingCounts({ ...ENOUGH, ...seen }, LIMITS);
    strictEqual(found.length, 1);
    match(found.map(describeHindrance).join(), sentence);
  });
}

const FINE: [what: string, seen: Partial<SeenOfRoute>][] = [
  ["enough of everything", {}],
  ["a route on legacy", { mode: { name: "legacy" }, requests: 0 }],
  ["the first minute", { requests: 0, seconds: 30 }],
  ["the first window", { seconds: 100, outcomes: { same: 10 }, coverage: { due: 10 } }],
  ["one client in shadow", {
    mode: { name: "shadow" },
    share: { ...one, movedRequests: 0, movedClients: 0 },
  }],
];

for (const [what, seen] of FINE) {
  Deno.test(`${what}: nothing to do`, () => {
    deepStrictEqual(whyNothingCounts({ ...ENOUGH, ...seen }, LIMITS), []);
  });
}
