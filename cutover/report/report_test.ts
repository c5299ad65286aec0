import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert/strict";
import { createHash } from "node:crypto";
import { coverageOf } from "../evidence/coverage.ts";
import { toHtml } from "./html.ts";
import { toMarkdown } from "./markdown.ts";
import type { ReportData, RouteReport } from "./read_report.ts";
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
  periods: [],
  readiness: {
    ready: false,
    because: ["it is on legacy, and must be on service for 14 days"],
    since: undefined,
    days: 0,
    monthEnds: [],
    comparisons: 0,
  },
};

const READY: RouteReport = {
  ...QUIET,
  readiness: {
    ready: true,
    because: [],
    since: "2026-10-25T08:00:00.000Z",
    days: 31.08,
    monthEnds: ["2026-10"],
    comparisons: 12_000,
  },
};

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
      epochs: [2],
      entry: { reason: "Errors are JSON", approved: "2026-11-23", review: "2027-05-24" },
    },
    { id: "gone", count: 1, epochs: [2], entry: undefined },
  ],
  periods: [{
    from: "2026-11-25T09:00:00.000Z",
    until: "2026-11-25T09:59:30.000Z",
    mode: { name: "canary", percent: 10 },
    epoch: 2,
    limits: 2,
    requests: { legacy: 12_058, service: 12_058 },
    compared: 12_013,
    confirmed: 12_007,
    different: 2,
    lost: 42,
    verdict: "fail",
    reasons: ["2 of 12013 responses were wrong"],
    holes: [],
    hindrances: [{ why: "it is too quiet", todo: "send more" }],
  }],
  sides: {
    legacy: { requests: 12_058, failed: 0, silent: 0, p50: 4, p99: 21.5 },
    service: { requests: 12_058, failed: 241, silent: 5, p50: 2, p99: 320 },
  },
  readiness: {
    ...QUIET.readiness,
    because: ["it was rolled back, and is held on legacy: 2 wrong responses"],
  },
};

const LIMITS = {
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
};

const DATA: ReportData = {
  ready: false,
  because: ["1 unknown path was requested"],
  since: "2026-11-25T08:00:00.000Z",
  until: "2026-11-25T10:00:00.000Z",
  lotline: { version: "0.1.0", commit: "abcdef0" },
  gateways: [{
    version: "0.1.0",
    commit: null,
    from: "2026-11-25T08:00:00.000Z",
    to: "2026-11-25T09:00:00.000Z",
  }],
  oldServer: "Express 4.18",
  limits: [{ id: 1, at: "2026-11-01T00:00:00.000Z", values: { ...LIMITS, min_samples: 200 } }, {
    id: 2,
    at: "2026-11-02T00:00:00.000Z",
    values: LIMITS,
  }],
  limitChanges: [{
    id: 2,
    at: "2026-11-02T00:00:00.000Z",
    by: "anna",
    why: "a busy plant",
    changes: ["min_samples 200 → 1000"],
    loosened: [],
  }],
  withoutGateway: [{ from: "2026-11-25T09:01:00.000Z", to: "2026-11-25T10:00:00.000Z" }],
  unknown: [{
    method: "GET",
    path: "/api/text-0123456789ab",
    count: 7,
    first: "2026-11-25T08:10:00.000Z",
    last: "2026-11-25T08:20:00.000Z",
  }],
  routes: [READY, BUSY],
};

const markdown = (data: ReportData) => toMarkdown(documentOf(data));
const html = (data: ReportData) => toHtml(TITLE, documentOf(data));

Deno.test("the page says who changed what, what differed at which place, and what is unknown", () => {
  const page = markdown(DATA);
  const lines = [
    "> **Ready to retire the old server: no, because**",
    "- 1 unknown path was requested",
    "- getTraceability: it was rolled back, and is held on legacy: 2 wrong responses",
    "- Made by Lotline 0.1.0, commit abcdef0.",
    "- Gateways: 0.1.0, commit not told, from 2026-11-25T08:00:00.000Z to 2026-11-25T09:00:00.000Z.",
    "- The old server: Express 4.18.",
    "| getHealth | yes | legacy | 2026-10-25T08:00:00.000Z | 31.08 | 2026-10 | 12,000 | 0 | 0 |",
    "| getTraceability | no | canary 10 % | – | – | none | 0 | 2 | 42 |",
    "Approvals used: json-errors 6, gone 1.",
    "| getTraceability | 12,013 | 12,000 | 7 | 3 | 1 | 2 | 5 | 42 |",
    "| all | 12,013 | 12,000 | 7 | 3 | 1 | 2 | 5 | 42 |",
    "| 2 | 2026-11-02T00:00:00.000Z | min\\_samples 200 → 1000 | no easier | anna | a busy plant |",
    "| GET /api/text-0123456789ab | 7 | 2026-11-25T08:10:00.000Z | 2026-11-25T08:20:00.000Z |",
    "| 2026-11-25T09:01:00.000Z | 2026-11-25T10:00:00.000Z | 1.0 |",
    "42 comparisons were lost and 5 unanswered: it is unknown whether the responses were the same.",
    "Due for comparison: 12,060 exchanges. Lost: 42 (0.35 %), by cause: size 30, queue 10, no " +
    "outcome (such as a killed gateway) 2. Unanswered: 5 (0.04 %), by cause: time 4, unknown " +
    "1. Not sampled: 1,000. Same with 2xx: 11,990.",
    "> **Rolled back, and not cleared since: 2 wrong responses**",
    "| canary 10 % | 2026-11-25T09:00:00.000Z | 2026-11-25T09:59:30.000Z | 12,058 | 12,058 | 12,013 | 42 | 2 | fail |",
    "- canary 10 % from 2026-11-25T09:00:00.000Z, fail: 2 of 12013 responses were wrong. Why: it is too quiet. To do: send more",
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
  match(markdown({ ...DATA, routes: [READY] }), /No comparison was lost or unanswered\./);
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
  const other: ReportData = { ...DATA, routes: [READY] };
  ok(!markdown(other).includes(digest));
  strictEqual(JSON.parse(toJson(DATA)).ready, false);
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
    because: [NASTY],
    oldServer: NASTY,
    killed: { by: NASTY, why: NASTY },
    gateways: [{ version: NASTY, commit: NASTY, from: NASTY, to: NASTY }],
    unknown: [{ method: NASTY, path: NASTY, count: 1, first: NASTY, last: NASTY }],
    limitChanges: [{
      id: 2,
      at: NASTY,
      by: NASTY,
      why: NASTY,
      changes: [NASTY],
      loosened: [NASTY],
    }],
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
      approvals: [{ id: NASTY, count: 1, epochs: [1], entry: undefined }],
      readiness: { ...BUSY.readiness, because: [NASTY] },
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
