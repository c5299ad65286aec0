import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert/strict";
import { createHash } from "node:crypto";
import { coverageOf } from "../evidence/coverage.ts";
import { toHtml } from "./html.ts";
import { toMarkdown } from "./markdown.ts";
import { type ReportData, resultOf, type RouteReport } from "./read_report.ts";
import { documentOf, TITLE, toJson } from "./report_document.ts";

const NO_REQUESTS = { requests: 0, failed: 0, silent: 0, p50: undefined, p99: undefined };
const QUIET: RouteReport = {
  operation: "getHealth",
  method: "GET",
  path: "/api/health",
  now: { mode: { name: "legacy" }, samplePercent: 100 },
  history: [],
  moved: [],
  outcomes: { same: 0, approved: 0, raced: 0, late: 0, different: 0, unanswered: 0, lost: 0 },
  coverage: coverageOf({ outcomes: {}, coverage: {} }),
  differences: [],
  approvals: [],
  sides: { legacy: NO_REQUESTS, service: NO_REQUESTS },
  verdict: { result: "inconclusive", reasons: ["0 of 1000 samples"] },
};

const PASSED: RouteReport = { ...QUIET, verdict: { result: "pass", reasons: [] } };

const BUSY: RouteReport = {
  ...QUIET,
  operation: "getTraceability",
  path: "/api/traceability/{lotCode}",
  seen: { from: "2026-11-25T08:00:00.000Z", to: "2026-11-25T09:59:00.000Z" },
  now: { mode: { name: "canary", percent: 10 }, samplePercent: 50, latch: "2 wrong responses" },
  history: [{
    at: "2026-11-25T08:00:00.000Z",
    what: "set",
    by: "anna",
    why: "first shadow",
    from: "legacy",
    to: "shadow",
    automatic: false,
  }, {
    at: "2026-11-25T09:59:30.000Z",
    what: "rollback",
    by: "gateway",
    why: "2 wrong responses",
    from: "canary 10 %",
    to: "legacy",
    automatic: true,
  }],
  moved: [{
    since: "2026-11-25T09:00:00.000Z",
    percent: 10,
    requests: 2_000,
    movedRequests: 150,
    clients: 40,
    movedClients: 3,
  }],
  outcomes: {
    same: 12_000,
    approved: 7,
    raced: 3,
    late: 1,
    different: 2,
    unanswered: 5,
    lost: 40,
  },
  coverage: coverageOf({
    outcomes: {
      same: 12_000,
      approved: 7,
      raced: 3,
      late: 1,
      different: 2,
      unanswered: 5,
      lost: 40,
    },
    coverage: { due: 12_060, size: 30, queue: 10, time: 4, not_sampled: 1_000, success: 11_990 },
  }),
  differences: [{
    fingerprint: "0f3a",
    kept: 2,
    first: "2026-11-25T09:58:00.000Z",
    last: "2026-11-25T09:59:00.000Z",
    example: {
      mode: "canary",
      request: "GET /api/traceability/RAW-1",
      differences: [
        { place: "body.central.weight_kg", legacy: '"540.0"', service: '"540"' },
        { place: "header vary", legacy: "Origin" },
      ],
    },
  }],
  approvals: [
    {
      id: "json-errors",
      count: 6,
      entry: { reason: "Errors are JSON", approved: "2026-11-23", review: "2027-05-24" },
    },
    { id: "gone", count: 1 },
  ],
  sides: {
    legacy: { requests: 12_058, failed: 0, silent: 0, p50: 4, p99: 21.5 },
    service: { requests: 12_058, failed: 241, silent: 5, p50: 2, p99: 320 },
  },
  verdict: { result: "fail", reasons: ["2 of 12013 responses were wrong"] },
};

const DATA: ReportData = {
  since: "2026-11-25T08:00:00.000Z",
  until: "2026-11-25T10:00:00.000Z",
  limits: {
    window_seconds: 300,
    min_samples: 1_000,
    error_margin_percent: 1,
    latency_factor: 2,
    latency_slack_ms: 50,
    late_percent: 1,
    silence_percent: 5,
    share_factor: 5,
    lost_percent: 5,
    raced_percent: 20,
    min_successes: 20,
  },
  routes: [PASSED, BUSY],
};

const markdown = (data: ReportData) => toMarkdown(documentOf(data));
const html = (data: ReportData) => toHtml(TITLE, documentOf(data));

Deno.test("one failed route fails the report, and only all passed routes pass it", () => {
  strictEqual(resultOf({ routes: [PASSED, BUSY, QUIET] }), "fail");
  strictEqual(resultOf({ routes: [PASSED, QUIET] }), "inconclusive");
  strictEqual(resultOf({ routes: [PASSED, PASSED] }), "pass");
  strictEqual(resultOf({ routes: [] }), "inconclusive");
});

Deno.test("the page says who changed what, what differed at which place, and what is unknown", () => {
  const page = markdown(DATA);
  const lines = [
    "> **Verdict over all routes: fail**",
    "| getTraceability | canary 10 % | 12,013 | 12,000 | 7 | 3 | 1 | 2 | 5 | 42 | fail |",
    "| all |  | 12,013 | 12,000 | 7 | 3 | 1 | 2 | 5 | 42 | fail |",
    "42 comparisons were lost and 5 unanswered: it is unknown whether the responses were the same.",
    "Due for comparison: 12,060 exchanges. Lost: 42 (0.35 %), by cause: size 30, queue 10, no " +
    "outcome (such as a killed gateway) 2. Unanswered: 5 (0.04 %), by cause: time 4, unknown " +
    "1. Not sampled: 1,000. Same with 2xx: 11,990.",
    "> **Rolled back automatically, and not cleared since: 2 wrong responses**",
    "- 2 of 12013 responses were wrong",
    "| 2026-11-25T08:00:00.000Z | set | legacy | shadow | anna | first shadow |",
    "| 2026-11-25T09:59:30.000Z | rollback | canary 10 % | legacy | gateway (automatic) | 2 wrong responses |",
    "GET /api/traceability/RAW-1",
    "@ body.central.weight_kg",
    '- old server: "540.0"',
    '+ Lotline: "540"',
    "@ header vary",
    "- old server: Origin",
    "+ Lotline: (nothing)",
    "| json-errors | 6 | 2026-11-23 | 2027-05-24 | Errors are JSON |",
    "| gone | 1 |  |  | It is no longer in approved.yaml. |",
    "| old server | 12,058 | 0 (0.00 %) | 0 (0.00 %) | 4 ms | 21.5 ms |",
    "| Lotline | 12,058 | 241 (2.00 %) | 5 (0.04 %) | 2 ms | 320 ms |",
    "## What this report doesn't show",
  ];
  const found = page.split("\n");
  for (const line of lines) ok(found.includes(line), `missing: ${line}\n${page}`);
  match(page, /Kind 0f3a: 2 cases are kept, .* The last one, in mode canary:/);
  match(page, /A pass needs 1,000 responses of each server/);
  match(page, /Name of the quality manager: (\\_)+\n\nDate: (\\_)+/);
  match(markdown({ ...DATA, routes: [PASSED] }), /No comparison was lost or unanswered\./);
});

Deno.test("every word of the Markdown is in the HTML as well", () => {
  const words = (text: string) => text.match(/[\p{L}\d.:%-]{3,}/gu) ?? [];
  const page = html(DATA).replaceAll("&quot;", '"').replaceAll("&#39;", "'");
  const missing = words(markdown(DATA).replaceAll(/[\\|]|---:?/g, "")).filter((word) =>
    !page.includes(word)
  );
  deepStrictEqual(missing, []);
});

Deno.test("a signed page is tied to the data by their digest", () => {
  const digest = createHash("sha256").update(toJson(DATA)).digest("hex");
  ok(markdown(DATA).includes(digest) && html(DATA).includes(digest));
  const other: ReportData = { ...DATA, routes: [PASSED] };
  ok(!markdown(other).includes(digest));
  strictEqual(JSON.parse(toJson(DATA)).result, "fail");
  deepStrictEqual(JSON.parse(toJson(DATA)).routes, JSON.parse(JSON.stringify(DATA.routes)));
});

const NASTY = "<img src=x onerror=alert(1)>|`a`\n```\n# h\n[l](http://e.example) & \"'\u202e\u0007";

function nasty(): ReportData {
  const example = {
    mode: NASTY,
    request: NASTY,
    differences: [{ place: NASTY, legacy: NASTY, service: NASTY }],
  };
  return {
    ...DATA,
    killed: { by: NASTY, why: NASTY },
    routes: [{
      ...BUSY,
      now: { ...BUSY.now, latch: NASTY },
      history: [{
        at: NASTY,
        what: NASTY,
        by: NASTY,
        why: NASTY,
        from: NASTY,
        to: NASTY,
        automatic: true,
      }],
      differences: [{ fingerprint: NASTY, kept: 1, first: NASTY, last: NASTY, example }],
      approvals: [{ id: NASTY, count: 1 }],
      verdict: { result: "fail", reasons: [NASTY] },
    }],
  };
}

Deno.test("client data in the HTML stays text, and the page loads and runs nothing", () => {
  const page = html(nasty());
  const tags = new Set([...page.matchAll(/<\/?([a-z][a-z\d]*)/gi)].map(([, tag]) => tag));
  deepStrictEqual(
    [...tags].filter((tag) => /^(img|script|link|a|iframe|object|form|input)$/.test(tag ?? "")),
    [],
  );
  doesNotMatch(page, /[\u202e\u0007]/);
  match(page, /\\u\{202e\}/);
  match(page, /default-src 'none'/);
  // The page itself has no address to fetch from.
  doesNotMatch(html(DATA), /https?:|url\(/);
});

Deno.test("client data in the Markdown stays in its cell, its line or its fence", () => {
  const page = markdown(nasty());
  doesNotMatch(page, /[\u202e\u0007]/);
  let fence = "";
  const outside: string[] = [];
  for (const line of page.split("\n")) {
    const [run = ""] = /^`{3,}$/.exec(line) ?? [];
    if (fence === "" && run !== "") fence = run;
    else if (fence !== "" && run.length >= fence.length) fence = "";
    else if (fence === "") outside.push(line);
  }
  strictEqual(fence, "");
  const text = outside.join("\n");
  doesNotMatch(text, /<img/);
  doesNotMatch(text, /(?<!\\)`/);
  doesNotMatch(text, /^# h/m);
  doesNotMatch(text, /(?<!\\)\[l/);
  doesNotMatch(text, /http:\/\//);
  const [head = "", , ...rows] = text.split("\n\n").find((part) => part.startsWith("| when")) // the modes
    ?.split("\n") ?? [];
  const bars = (line: string) => line.match(/(?<!\\)\|/g)?.length;
  deepStrictEqual(rows.map(bars), [bars(head)]);
});
