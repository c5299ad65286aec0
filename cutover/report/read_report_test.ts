import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { openSession } from "../../db/session.ts";
import { loadApprovals } from "../compare/approvals.ts";
import { freshDatabase } from "../../testing/database.ts";
import { BUCKETS, chooseUpstream } from "../routes/canary.ts";
import { givenCoverage } from "../testing/route_history.ts";
import type { Finding } from "../evidence/evidence.ts";
import { fingerprintOf, storedMismatch } from "../evidence/stored_mismatch.ts";
import type { Operation } from "../exchange/operations.ts";
import type { Mode, Route, Upstream } from "../exchange/route.ts";
import { storeBatch } from "../evidence/evidence_table.ts";
import { rollBack, setMode } from "../routes/routes_table.ts";
import { createCounters } from "../evidence/counters.ts";
import { readReport, type RouteReport } from "./read_report.ts";
import { toJson } from "./report_document.ts";

const approvals = await loadApprovals();
const BUILD = { version: "1.2.3", commit: "abcdef0" };

/** The verdict of a route's last period. */
const verdictOf = (route: RouteReport | undefined) => {
  const { verdict, reasons } = route?.periods.at(-1) ?? {};
  return { verdict, reasons };
};

/** A database with counts that a gateway's own code has stored. */
async function startEvidence() {
  const database = await freshDatabase();
  const { sql, url } = database;
  const session = openSession(url, { name: "lotline-test" });
  const collector = crypto.randomUUID();
  let number = 0;
  return {
    sql,
    async move(operation: Operation, mode: Mode, why = "as planned"): Promise<Route> {
      return (await setMode(sql, { operation, mode, who: "anna", why })).route;
    },
    /** Counts responses in ms, findings, and a request of each of some clients. */
    async count(
      route: Route,
      responses: Partial<Record<Upstream, readonly (readonly [status: number, ms: number])[]>>,
      findings: readonly Omit<Finding, "operation" | "route">[],
      clients = 0,
    ) {
      const counters = createCounters();
      for (const upstream of ["legacy", "service"] as const) {
        for (const [status, ms] of responses[upstream] ?? []) {
          counters.responded(route.operation, route, upstream, status, ms);
        }
      }
      for (let client = 0; client < clients; client++) {
        const bucket = client * BUCKETS / clients;
        counters.served(route.operation, route, chooseUpstream(route.mode, bucket), bucket);
      }
      const found = findings.map((finding) => ({
        ...finding,
        operation: "getTraceability" as const,
        route,
      }));
      found.forEach((finding) => counters.found(finding));
      const differences = found.filter((finding) => finding.differences.length > 0)
        .map((finding) => storedMismatch(finding, fingerprintOf(finding), performance.now()));
      number++;
      await storeBatch(sql, { collector, number, ...counters.take(), differences });
    },
    report: (since?: string, until?: string) =>
      readReport(session.sql, { since, until, build: BUILD }, approvals),
    [Symbol.asyncDispose]: async () => {
      await session[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

const many = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);
const SAME = { outcome: "same", approvals: [], differences: [] } as const;
const APPROVED = { outcome: "approved", approvals: ["json-errors"], differences: [] } as const;
const WRONG = {
  outcome: "different",
  approvals: [],
  differences: [{ place: "body.central.weight_kg", legacy: '"540.0"', service: '"540"' }],
} as const;

const OK = { legacy: many(300, [200, 10] as const), service: many(300, [200, 5] as const) };

Deno.test("without any evidence no route is ready, and the report is still made", async () => {
  await using evidence = await startEvidence();
  const data = await evidence.report();
  const because = ["it is on legacy, and must be on service for 14 days"];
  deepStrictEqual(
    data.routes.map(({ operation, readiness, periods }) => [
      operation,
      readiness.because,
      periods.length,
    ]),
    [
      ["getHealth", because, 0],
      ["login", because, 0],
      ["getTraceability", because, 0],
      ["createLot", because, 0],
      ["createQcDecision", because, 0],
    ],
  );
  strictEqual(data.since, data.until);
});

Deno.test("a route passes with enough equal responses, and its report names who moved it and what was approved", async () => {
  await using evidence = await startEvidence();
  await evidence.move("getTraceability", { name: "shadow" }, "first look");
  const route = await evidence.move("getTraceability", { name: "canary", percent: 10 });
  const service = [...OK.service, ...many(10, [200, 60] as const), [500, 7], [0, 30_000]] as const;
  await evidence.count(route, { ...OK, service }, [
    ...many(250, SAME),
    ...many(3, APPROVED),
    { ...APPROVED, approvals: ["client-fault"] },
  ], 40);

  const trace = (await evidence.report()).routes[2];
  ok(trace);
  deepStrictEqual(verdictOf(trace), { verdict: "pass", reasons: [] });
  strictEqual(trace.path, "/api/traceability/{lotCode}");
  deepStrictEqual(trace.now, { mode: { name: "canary", percent: 10 }, samplePercent: 100 });
  deepStrictEqual(trace.history.map(({ at: _at, ...change }) => change), [
    {
      what: "set",
      by: "anna",
      why: "first look",
      from: "legacy",
      to: "shadow",
      automatic: false,
    },
    {
      what: "set",
      by: "anna",
      why: "as planned",
      from: "shadow",
      to: "canary 10 %",
      automatic: false,
    },
  ]);
  deepStrictEqual(trace.moved.map(({ since: _since, ...step }) => step), [
    { percent: 10, requests: 40, movedRequests: 4, clients: 40, movedClients: 4 },
  ]);
  deepStrictEqual([trace.outcomes.same, trace.outcomes.approved], [250, 4]);
  const entry = approvals.find(({ id }) => id === "json-errors");
  ok(entry);
  deepStrictEqual(trace.approvals.map(({ id, count }) => [id, count]), [
    ["client-fault", 1],
    ["json-errors", 3],
  ]);
  deepStrictEqual(trace.approvals[1], {
    id: "json-errors",
    count: 3,
    epochs: [route.epoch],
    entry: { reason: entry.reason, approved: entry.approved, review: entry.review },
  });
  const { legacy, service: lotline } = trace.sides;
  deepStrictEqual([legacy.requests, legacy.failed, legacy.silent], [300, 0, 0]);
  deepStrictEqual([lotline.requests, lotline.failed, lotline.silent], [312, 1, 1]);
  // Within the 2.5 % width of a bucket.
  ok(Math.abs((legacy.p50 ?? 0) - 10) < 0.3, `${legacy.p50}`);
  ok(Math.abs((lotline.p50 ?? 0) - 5) < 0.2, `${lotline.p50}`);
  ok(Math.abs((lotline.p99 ?? 0) - 60) < 1.6, `${lotline.p99}`);

  await evidence.move("getTraceability", { name: "legacy" }, "for the night");
  strictEqual(verdictOf((await evidence.report()).routes[2]).verdict, "pass");
});

Deno.test("one difference fails a route, even after it went back, and is shown with its place", async () => {
  await using evidence = await startEvidence();
  const route = await evidence.move("getTraceability", { name: "shadow" });
  await evidence.count(route, OK, [...many(250, SAME), WRONG, WRONG]);
  await rollBack(evidence.sql, { operation: "getTraceability", epoch: route.epoch, why: "wrong" });

  const [, , trace] = (await evidence.report()).routes;
  strictEqual(verdictOf(trace).verdict, "fail");
  match(String(verdictOf(trace).reasons), /2 unapproved differences.*body\.central\.weight_kg/);
  deepStrictEqual(trace?.now, { mode: { name: "legacy" }, samplePercent: 100, latch: "wrong" });
  const last = trace.history.at(-1);
  deepStrictEqual([last?.what, last?.automatic, last?.why], ["rollback", true, "wrong"]);
  deepStrictEqual(trace.differences.map(({ kept, example }) => [kept, example.differences]), [
    [2, WRONG.differences],
  ]);
});

Deno.test("a removed approval stands against the route that needed it", async () => {
  await using evidence = await startEvidence();
  const route = await evidence.move("getTraceability", { name: "shadow" });
  const withdrawn = { ...APPROVED, approvals: ["withdrawn"] };
  await evidence.count(route, OK, [...many(250, SAME), withdrawn]);
  const [, , trace] = (await evidence.report()).routes;
  strictEqual(
    trace?.readiness.because.at(-1),
    "1 differences passed by approval withdrawn, which is no longer in approved.yaml",
  );
  deepStrictEqual(trace.approvals, [
    { id: "withdrawn", count: 1, epochs: [route.epoch], entry: undefined },
  ]);
});

Deno.test("a report names lost comparisons with their cause, and due ones without an outcome", async () => {
  await using evidence = await startEvidence();
  const { sql } = evidence;
  const route = await evidence.move("getTraceability", { name: "shadow" });
  const lost = { outcome: "lost", cause: "size", approvals: [], differences: [] } as const;
  await evidence.count(route, OK, [...many(250, SAME), ...many(20, lost)]);
  const covered = { operation: "getTraceability", epoch: route.epoch } as const;
  await givenCoverage(sql, { ...covered, what: "success", count: 250 });
  await givenCoverage(sql, { ...covered, what: "not_sampled", count: 7 });
  const due = { ...covered, what: "due", count: 300 };
  await givenCoverage(sql, due);
  const before = (await evidence.report()).routes[2];
  strictEqual(before?.coverage.lost, 20, "recently started comparisons are in flight");

  await sql`delete from lotline.route_coverage where what = 'due'`;
  await sql`update lotline.route_changes set at = at - interval '1 hour'`;
  await givenCoverage(sql, { ...due, minutesAgo: 5 });
  const [, , trace] = (await evidence.report()).routes;
  deepStrictEqual(trace?.coverage, {
    due: 300,
    lost: 50,
    lostPercent: 50 / 300 * 100,
    unanswered: 0,
    notSampled: 7,
    successes: 250,
    lostBy: [
      { cause: "no outcome (such as a killed gateway)", count: 30 },
      { cause: "size", count: 20 },
    ],
    unansweredBy: [],
  });
  strictEqual(verdictOf(trace).verdict, "inconclusive");
  match(
    String(verdictOf(trace).reasons),
    /^50 of 300 comparisons were lost \(no outcome .* 30, size 20\)/,
  );
});

Deno.test("only evidence of the period counts, but the mode at its start is reported", async () => {
  await using evidence = await startEvidence();
  const { sql } = evidence;
  const route = await evidence.move("getTraceability", { name: "shadow" });
  await evidence.count(route, OK, [...many(250, SAME), WRONG, APPROVED]);
  const day = sql`interval '1 day'`;
  await sql`update lotline.route_changes set at = at - ${day}`;
  await sql`update lotline.route_answers set minute = minute - ${day}`;
  await sql`update lotline.route_outcomes set minute = minute - ${day}`;
  await sql`update lotline.differences set at = at - ${day}`;
  await evidence.count(route, OK, many(240, SAME));

  const hourAgo = new Date(Date.now() - 3_600_000).toISOString();
  const [, , late] = (await evidence.report(hourAgo)).routes;
  deepStrictEqual(
    [verdictOf(late).verdict, late?.outcomes.same, late?.differences, late?.approvals],
    ["pass", 240, [], []],
  );
  strictEqual(late?.sides.service.requests, 300);
  strictEqual(late?.history.length, 1);

  const [, , early] = (await evidence.report(undefined, hourAgo)).routes;
  deepStrictEqual([verdictOf(early).verdict, early?.outcomes.same, early?.differences.length], [
    "fail",
    250,
    1,
  ]);
  const [, , whole] = (await evidence.report()).routes;
  deepStrictEqual([whole?.outcomes.same, whole?.sides.service.requests], [490, 600]);
});

Deno.test("the same data makes the same report, and reading it changes nothing", async () => {
  await using evidence = await startEvidence();
  const route = await evidence.move("getTraceability", { name: "shadow" });
  await evidence.count(route, OK, [...many(20, SAME), WRONG]);
  strictEqual(toJson(await evidence.report()), toJson(await evidence.report()));
});
