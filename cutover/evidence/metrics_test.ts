import { deepStrictEqual, ok } from "node:assert/strict";
import { findingOf, routeIn } from "../testing/findings.ts";
import { createGatewayMetrics } from "./metrics.ts";

Deno.test("each event is counted and passed to the next observer", async () => {
  const passed: unknown[] = [];
  const metrics = createGatewayMetrics((operation) =>
    routeIn(
      operation,
      1,
      operation === "login" ? { name: "canary", percent: 10 } : { name: "legacy" },
    )
  );
  const evidence = metrics.watch({
    responded: (operation, _, upstream, status) => passed.push([operation, upstream, status]),
    served: (operation, _, upstream, bucket) => passed.push([operation, upstream, bucket]),
    found: ({ outcome }) => passed.push(outcome),
    covered: (_operation, _route, what) => passed.push(what),
    unknown: (method, target, status) => passed.push([method, target, status]),
  });
  const route = routeIn("login", 1);
  for (const status of [200, 204, 500, 0]) {
    evidence.responded("login", route, "service", status, 30);
  }
  evidence.responded("login", route, "legacy", 200, NaN);
  for (const bucket of [7, 8, 7]) evidence.served("login", route, "service", bucket);
  evidence.served("login", route, "legacy", 7);
  evidence.served("login", routeIn("login", 0), "legacy", 9);
  evidence.found(findingOf("login", 1, "approved", ["a-1", "a-1"]));
  evidence.found(findingOf("login", 1, "lost"));
  evidence.found({ ...findingOf("login", 1, "lost"), cause: "size" });
  evidence.covered("login", route, "due");
  metrics.trouble("flush");
  metrics.rolledBack("login");
  metrics.clientLeft("login", "carried_out");
  metrics.clientLeft(undefined, "given_up");
  evidence.unknown("GET", "/metrics/old", 200);
  deepStrictEqual(passed, [
    ["login", "service", 200],
    ["login", "service", 204],
    ["login", "service", 500],
    ["login", "service", 0],
    ["login", "legacy", 200],
    ["login", "service", 7],
    ["login", "service", 8],
    ["login", "service", 7],
    ["login", "legacy", 7],
    ["login", "legacy", 9],
    "approved",
    "lost",
    "lost",
    "due",
    ["GET", "/metrics/old", 200],
  ]);
  const lines = (await metrics.text()).split("\n");
  for (
    const line of [
      'lotline_gateway_answers_total{operation="login",side="service",status="2xx"} 2',
      'lotline_gateway_answers_total{operation="login",side="service",status="5xx"} 1',
      'lotline_gateway_answers_total{operation="login",side="service",status="none"} 1',
      'lotline_gateway_answer_seconds_count{operation="login",side="service"} 3',
      'lotline_gateway_answer_seconds_bucket{le="0.025",operation="login",side="service"} 0',
      'lotline_gateway_answer_seconds_bucket{le="0.05",operation="login",side="service"} 3',
      'lotline_gateway_client_requests_total{operation="login",side="service"} 3',
      'lotline_gateway_client_requests_total{operation="login",side="legacy"} 2',
      'lotline_gateway_clients{operation="login",side="service"} 2',
      'lotline_gateway_clients{operation="login",side="legacy"} 1',
      'lotline_gateway_comparisons_total{operation="login",outcome="approved"} 1',
      'lotline_gateway_comparisons_total{operation="login",outcome="lost"} 2',
      'lotline_gateway_approvals_used_total{operation="login",approval="a-1"} 1',
      'lotline_gateway_coverage_total{operation="login",what="size"} 1',
      'lotline_gateway_coverage_total{operation="login",what="due"} 1',
      'lotline_gateway_evidence_troubles_total{trouble="flush"} 1',
      'lotline_gateway_rollbacks_total{operation="login"} 1',
      'lotline_gateway_clients_left_total{operation="login",outcome="carried_out"} 1',
      'lotline_gateway_clients_left_total{operation="unknown",outcome="given_up"} 1',
      'lotline_gateway_route_mode{operation="login",mode="canary"} 1',
      'lotline_gateway_route_mode{operation="login",mode="legacy"} 0',
      'lotline_gateway_route_mode{operation="createAudit",mode="legacy"} 1',
      'lotline_gateway_route_service_percent{operation="login"} 10',
    ]
  ) ok(lines.includes(line), `${line} is not in\n${lines.join("\n")}`);
});
