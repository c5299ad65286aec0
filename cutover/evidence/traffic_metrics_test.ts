import { deepStrictEqual, ok } from "node:assert/strict";
import { findingOf, routeIn } from "../testing/findings.ts";
import { createTrafficMetrics } from "./traffic_metrics.ts";

const NAME = "lotline_gateway_request_duration_seconds";

Deno.test("requests are counted by operation and end, with their time", async () => {
  const metrics = createTrafficMetrics();
  metrics.ended("createLot", 201, 20);
  metrics.ended("createLot", 201, 40);
  metrics.ended("createLot", "cut", 5);
  metrics.ended("login", "left", 5);
  metrics.ended(undefined, 431, 0);
  const lines = (await metrics.text()).split("\n");
  for (
    const line of [
      `${NAME}_bucket{operation="createLot",status="201",le="0.01"} 0`,
      `${NAME}_bucket{operation="createLot",status="201",le="0.025"} 1`,
      `${NAME}_bucket{operation="createLot",status="201",le="+Inf"} 2`,
      `${NAME}_sum{operation="createLot",status="201"} 0.06`,
      `${NAME}_count{operation="createLot",status="201"} 2`,
      `${NAME}_count{operation="createLot",status="cut"} 1`,
      `${NAME}_count{operation="login",status="left"} 1`,
      `${NAME}_count{operation="unknown",status="431"} 1`,
    ]
  ) ok(lines.includes(line), `${line} is not in\n${lines.join("\n")}`);
});

Deno.test("an upstream's odd statuses make no series without end", async () => {
  const metrics = createTrafficMetrics();
  for (let status = 200; status < 600; status++) metrics.ended("login", status, 1);
  const counts = (await metrics.text()).match(/^\w+_count\{operation="login",.*$/gm) ?? [];
  deepStrictEqual(counts.length, 41);
  ok(counts.includes(`${NAME}_count{operation="login",status="other"} 360`), counts.join("\n"));
});

Deno.test("lost comparisons are counted by cause, and all evidence is passed on", async () => {
  const passed: unknown[] = [];
  const metrics = createTrafficMetrics();
  const evidence = metrics.watch({
    responded: (operation) => passed.push(["responded", operation]),
    served: (operation) => passed.push(["served", operation]),
    found: ({ outcome }) => passed.push(["found", outcome]),
    covered: (operation) => passed.push(["covered", operation]),
    unknown: (method) => passed.push(["unknown", method]),
  });
  const route = routeIn("login", 1);
  evidence.responded("login", route, "service", 200, 1);
  evidence.served("login", route, "service", 1);
  evidence.covered("login", route, "due");
  evidence.unknown("GET", "/", 200);
  evidence.found({ ...findingOf("login", 1, "lost"), cause: "size" });
  evidence.found({ ...findingOf("login", 1, "unanswered"), cause: "reset" });
  deepStrictEqual(passed, [
    ["responded", "login"],
    ["served", "login"],
    ["covered", "login"],
    ["unknown", "GET"],
    ["found", "lost"],
    ["found", "unanswered"],
  ]);
  const lines = (await metrics.text()).split("\n")
    .filter((line) => /^lotline_gateway_lost_total\{.*login/.test(line));
  deepStrictEqual(lines.filter((line) => !line.endsWith(" 0")), [
    'lotline_gateway_lost_total{operation="login",cause="size"} 1',
  ]);
  // The other causes are there from the start.
  ok(lines.includes('lotline_gateway_lost_total{operation="login",cause="overload"} 0'));
});
