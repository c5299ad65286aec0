import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { captured } from "../testing/captured.ts";
import { eventually, withDeadline } from "../../testing/eventually.ts";
import { routeOf, type ShadowRig, shadowRig } from "../testing/shadow_rig.ts";
import { startBlackHole } from "../../testing/test_server.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import type { Route } from "../exchange/route.ts";
import type { ShadowLimits } from "./shadow.ts";

/** Nobody listens there. */
const NOWHERE = "http://127.0.0.1:1";
const request = captured("GET", "/api/traceability/RAW-BEEF-001");
const response = { status: 200, headers: [], body: new TextEncoder().encode("{}"), ms: 1 };

function rig(options: { serviceUrl?: string; limits?: Partial<ShadowLimits> } = {}): ShadowRig {
  return shadowRig({ legacyUrl: NOWHERE, serviceUrl: NOWHERE, ...options });
}

Deno.test("an exchange for which the queue has no room is lost at once", async () => {
  await using hole = await startBlackHole();
  using one = rig({
    serviceUrl: hole.url,
    limits: { waiting: 3, maxConcurrent: 2, requestTimeoutMs: 200 },
  });
  const observation = { request, at: Date.now(), upstream: "legacy", response } as const;
  const of = { operation: "getTraceability", route: routeOf("getTraceability") } as const;
  for (let i = 0; i < 10; i++) one.shadow.observe({ ...of, ...observation });
  deepStrictEqual(one.outcomes(), Array(7).fill("lost"));
  strictEqual(one.shadow.queue.exchanges, 3);
  ok(one.shadow.queue.bytes >= 3 * request.target.length);
  ok(one.findings.every(({ cause }) => cause === "queue"));
  const big = { ...response, body: new Uint8Array(65 * 1_048_576) };
  using other = rig({ serviceUrl: hole.url });
  other.shadow.observe({ ...of, ...observation, response: big });
  deepStrictEqual(other.outcomes(), ["lost"]);
  const half = { ...response, body: new Uint8Array(40 * 1_048_576) };
  using third = rig({ serviceUrl: hole.url, limits: { requestTimeoutMs: 50 } });
  for (let i = 0; i < 2; i++) {
    third.shadow.observe({ ...of, ...observation, response: half });
    await third.shadow.drain(20_000);
  }
  deepStrictEqual(third.outcomes(), ["unanswered", "unanswered"], "its bytes are given back");

  await one.shadow.drain(20_000);
  deepStrictEqual(one.outcomes().slice(7), ["unanswered", "unanswered", "unanswered"]);
  deepStrictEqual(one.shadow.queue, { exchanges: 0, bytes: 0 });
  deepStrictEqual(one.findings.slice(7).map(({ cause }) => cause), ["time", "time", "time"]);
  deepStrictEqual(one.answered[0], ["getTraceability", "service", 0]);
  // There is room again.
  one.shadow.observe({ ...of, ...observation });
  strictEqual(one.outcomes().length, 10);

  using slow = rig({ serviceUrl: hole.url, limits: { requestTimeoutMs: 60_000 } });
  slow.shadow.observe({ ...of, ...observation });
  await withDeadline("drain waits no longer than it is told", slow.shadow.drain(10));
});

Deno.test("a gateway that stops counts its remaining exchanges as lost, once, and all later ones", async () => {
  await using hole = await startBlackHole();
  using one = rig({ serviceUrl: hole.url, limits: { maxConcurrent: 2, requestTimeoutMs: 300 } });
  const of = { operation: "getTraceability", route: routeOf("getTraceability") } as const;
  const observation = { ...of, request, at: Date.now(), upstream: "legacy", response } as const;
  for (let i = 0; i < 5; i++) one.shadow.observe({ ...observation });
  one.shadow[Symbol.dispose]();
  one.shadow.observe(observation);
  await eventually("those in flight have ended", () => one.answered.length === 2);
  deepStrictEqual(
    one.findings.map(({ outcome, cause }) => [outcome, cause]),
    Array(6).fill(["lost", "stopped"]),
  );
});

Deno.test("a route's share of the requests is compared, and none that can't be", () => {
  using one = rig();
  const wanted = (operation: LegacyOperation, route: Partial<Route>) =>
    Array.from(
      { length: 2_000 },
      () => one.shadow.wants(operation, { ...routeOf(operation), ...route }),
    )
      .filter((isWanted) => isWanted).length;
  strictEqual(wanted("getHealth", {}), 2_000);
  deepStrictEqual(one.covered, []);
  strictEqual(wanted("getHealth", { samplePercent: 0 }), 0);
  deepStrictEqual(one.covered, Array(2_000).fill("getHealth not_sampled"));
  const tenth = wanted("getHealth", { samplePercent: 10 });
  ok(tenth > 100 && tenth < 320, String(tenth));
  strictEqual(wanted("getHealth", { mode: { name: "legacy" } }), 0);
  strictEqual(wanted("getHealth", { mode: { name: "service" } }), 2_000);
  // Lotline has executed it; the old server has no dry run.
  strictEqual(wanted("createLot", { mode: { name: "service" } }), 0);
  strictEqual(wanted("createLot", { mode: { name: "canary", percent: 10 } }), 2_000);
});
