import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { findingOf, routeIn } from "../testing/findings.ts";
import { BUCKETS } from "../routes/canary.ts";
import { createCounters, MAX_TAKEN } from "./counters.ts";

Deno.test("responses are counted by operation, upstream, epoch and minute", () => {
  let now = 0;
  const counters = createCounters(() => now);
  const route = routeIn("getHealth", 4);
  for (const status of [200, 404, 500, 503, 599]) {
    counters.responded("getHealth", route, "service", status, 1);
  }
  counters.responded("getHealth", route, "service", 0, 300);
  counters.responded("getHealth", route, "legacy", 200, 1.1);
  now = 60_000;
  counters.responded("getHealth", route, "service", 200, 1);
  counters.responded("getHealth", routeIn("getHealth", 5), "service", 200, 1);
  const { responses } = counters.take();
  deepStrictEqual(responses, [
    {
      operation: "getHealth",
      side: "service",
      epoch: 4,
      at: 0,
      requests: 6,
      serverErrors: 3,
      silences: 1,
      latencies: { "0": 5 },
    },
    {
      operation: "getHealth",
      side: "legacy",
      epoch: 4,
      at: 0,
      requests: 1,
      serverErrors: 0,
      silences: 0,
      latencies: { "2": 1 },
    },
    ...[4, 5].map((epoch) => ({
      operation: "getHealth",
      side: "service",
      epoch,
      at: 60_000,
      requests: 1,
      serverErrors: 0,
      silences: 0,
      latencies: { "0": 1 },
    })),
  ]);
  deepStrictEqual(counters.take(), {
    responses: [],
    clients: [],
    outcomes: [],
    coverage: [],
    unknown: [],
  });
});

Deno.test("a comparison counts once, and each approval that it needed once", () => {
  const counters = createCounters(() => 0);
  counters.found(findingOf("login", 1, "approved", ["a", "b", "a"]));
  counters.found(findingOf("login", 1, "approved", ["b"]));
  counters.found(findingOf("login", 1, "same"));
  deepStrictEqual(
    counters.take().outcomes.map(({ outcome, approval, count }) => [outcome, approval, count]),
    [["approved", "", 2], ["approved", "a", 1], ["approved", "b", 2], ["same", "", 1]],
  );
});

Deno.test("clients are counted by upstream, epoch and minute, and their number doesn't change the memory", () => {
  let now = 0;
  const counters = createCounters(() => now);
  const route = routeIn("getHealth", 4);
  for (let client = 0; client < 30_000; client++) {
    counters.served("getHealth", route, "legacy", client % BUCKETS);
  }
  for (const bucket of [3, 3, 9_999]) counters.served("getHealth", route, "service", bucket);
  now = 60_000;
  counters.served("getHealth", route, "service", 0);
  counters.served("getHealth", routeIn("getHealth", 5), "service", 4);
  strictEqual(counters.size, 4);
  const { clients } = counters.take();
  deepStrictEqual(
    clients.map(({ side: upstream, epoch, at, requests, clients }) => [
      upstream,
      epoch,
      at,
      requests,
      clients.size,
    ]),
    [
      ["legacy", 4, 0, 30_000, BUCKETS],
      ["service", 4, 0, 3, 2],
      ["service", 4, 60_000, 1, 1],
      ["service", 5, 60_000, 1, 1],
    ],
  );
  match(clients[1]?.clients.toHex() ?? "", /^10{2498}1$/);
  match(clients[2]?.clients.toHex() ?? "", /^80{2499}$/);
});

Deno.test("hours without storage take no more memory, and nothing is left out", () => {
  let now = 0;
  const counters = createCounters(() => now);
  for (let minute = 0; minute < 10_000; minute++, now += 60_000) {
    counters.responded("getHealth", routeIn("getHealth", 1), "legacy", 200, 1);
  }
  ok(counters.size <= 4_001, String(counters.size));
  let requests = 0;
  while (counters.size > 0) {
    const { responses } = counters.take();
    ok(responses.length <= MAX_TAKEN);
    for (const response of responses) requests += response.requests;
  }
  strictEqual(requests, 10_000);
  counters.responded("getHealth", routeIn("getHealth", 1), "legacy", 200, 1);
  strictEqual(counters.take().responses[0]?.at, now, "minutes are separate again");
});

Deno.test("responses within a minute are one count, whatever their moments", () => {
  let now = 120_000;
  const counters = createCounters(() => now);
  const route = routeIn("getHealth", 4);
  for (; now < 180_000; now += 1_000) {
    counters.responded("getHealth", route, "service", 200, 1);
    counters.found(findingOf("getHealth", 4, "same"));
  }
  strictEqual(counters.size, 2);
  const { responses: [responses], outcomes: [outcomes] } = counters.take();
  deepStrictEqual([responses?.requests, outcomes?.count], [60, 60]);
});

Deno.test("counts of both kinds share the bound above which minutes are merged", () => {
  let now = 0;
  const counters = createCounters(() => now);
  const route = routeIn("getHealth", 4);
  for (; now < 10_000 * 60_000; now += 60_000) {
    counters.responded("getHealth", route, "service", 200, 1);
    counters.found(findingOf("getHealth", 4, "same"));
  }
  strictEqual(counters.size, 4_000);
});
