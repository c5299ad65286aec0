import { createHash } from "node:crypto";
import { describeCauses } from "../evidence/coverage.ts";
import type { Outcome } from "../evidence/coverage.ts";
import type { Difference } from "../evidence/evidence.ts";
import type { Thresholds } from "../rollout/thresholds.ts";
import { describeMode } from "../routes/routing.ts";
import type { Block } from "./document.ts";
import {
  comparedOf,
  type DifferenceEvidence,
  type ReportData,
  resultOf,
  type RouteEvidence,
  type UpstreamFigures,
} from "./report_data.ts";

/** What the report is called. */
export const TITLE = "Evidence of the cutover";

const OUTCOMES: readonly (readonly [outcome: Outcome, meaning: string])[] = [
  ["same", "both sides said the same"],
  ["approved", "they differed in a way that was approved beforehand"],
  ["raced", "they differed, and a change of the data between the two answers explains it"],
  ["late", "they differed, and no more when both were asked again a moment later"],
  ["different", "they differed, and nothing approves it"],
  ["unanswered", "one of the two sides gave no answer to compare"],
  ["lost", "the comparison was not made, or not to its end"],
];

const LIMITS: readonly string[] = [
  "What no client asked for in the period. A kind of request that didn't come was not compared.",
  "Requests that were not sampled, that went past the gateway, or that the gateway refused; of what " +
  "was lost or unanswered nobody knows whether it was the same.",
  "Whether requests were different ones: the same trace, asked for a thousand times, is a thousand " +
  "comparisons.",
  "Operations that the old server doesn't have: there is nothing to compare them with.",
  "Writes were compared by a dry run of Lotline beside the real write of the old server. What a " +
  "write leaves in the tables is compared only as far as the answer shows it.",
  "After a route's switch to service its writes are not compared: the old server would execute them.",
  "Times are those that the gateway saw, counted in classes: a percentile is as exact as its class. " +
  "Answers to comparisons count among a side's answers.",
  "Examples show pseudonyms in the place of personal data and secrets, one case of each kind of " +
  "difference, and no more than is kept: older examples are deleted.",
  "An approval says that a difference was agreed to, not that it is harmless to every client.",
];

/** The report as a document; {@link digestOf} the data stands in it. */
export function documentOf(data: ReportData): readonly Block[] {
  const result = resultOf(data);
  return [
    heading(1, TITLE),
    paragraph(
      `What clients of the old server and of Lotline were answered from ${data.since} until ` +
        `${data.until} (UTC), as the gateway compared it.`,
    ),
    notice(`Verdict over all routes: ${result}`),
    ...(data.killed === undefined ? [] : [
      notice(
        `The kill switch is on: the old server answers everything (${data.killed.by}: ${data.killed.why})`,
      ),
    ]),
    paragraph(limitsSentence(data.limits)),
    paragraph(`SHA-256 of the data (the file report.json): ${digestOf(data)}`),
    heading(2, "All routes"),
    totalsTable(data.routes),
    paragraph(unknownSentence(data.routes)),
    ...data.routes.flatMap(routeBlocks),
    heading(2, "What this report can't show"),
    { kind: "list", items: LIMITS },
    heading(2, "Signed"),
    paragraph(
      "I have read this report, its differences and the approvals that it names. The verdict above " +
        `is: ${result}.`,
    ),
    {
      kind: "form",
      fields: ["Name of the quality manager", "Date", "Signature", "Decision and remarks"],
    },
  ];
}

/** The data as JSON, the same text for the same data. */
export function toJson(data: ReportData): string {
  return JSON.stringify({ report: TITLE, result: resultOf(data), ...data }, null, 2) + "\n";
}

/** Ties a signed page to the file of its data: SHA-256 of {@link toJson}, in hex. */
export function digestOf(data: ReportData): string {
  return createHash("sha256").update(toJson(data)).digest("hex");
}

function totalsTable(routes: readonly RouteEvidence[]): Block {
  const count = (of: (route: RouteEvidence) => number) =>
    number(routes.reduce((sum, route) => sum + of(route), 0));
  return {
    kind: "table",
    head: ["operation", "mode now", ...COLUMNS.map(([name]) => name), "verdict"],
    numbers: COLUMNS.map((_, at) => at + 2),
    rows: [
      ...routes.map((route) => [
        route.operation,
        describeMode(route.now.mode),
        ...COLUMNS.map(([, of]) => number(of(route))),
        route.verdict.result,
      ]),
      ["all", "", ...COLUMNS.map(([, of]) => count(of)), resultOf({ routes })],
    ],
  };
}

const COLUMNS: readonly (readonly [
  name: string,
  of: (route: RouteEvidence) => number,
])[] = [
  ["compared", ({ outcomes }) => comparedOf(outcomes)],
  ["same", ({ outcomes: { same } }) => same],
  ["approved", ({ outcomes: { approved } }) => approved],
  ["raced, late", ({ outcomes: { raced, late } }) => raced + late],
  ["different", ({ outcomes: { different } }) => different],
  ["unanswered", ({ outcomes: { unanswered } }) => unanswered],
  ["lost", ({ coverage: { lost } }) => lost],
];

function limitsSentence(limits: Thresholds): string {
  return "Over the whole period, one difference that isn't approved fails a route; so do more than " +
    `${limits.late_percent} % of answers that were behind by a moment, a share of failed requests ` +
    `more than ${limits.error_margin_percent} points above the old server's, or a p99 above ` +
    `${limits.latency_factor} times the old server's and ${limits.latency_slack_ms} ms. A pass ` +
    `takes ${number(limits.min_samples)} answers of each side and as many comparisons, ${
      number(Math.min(limits.min_successes, limits.min_samples))
    } of them of answers with 2xx, and at most ${limits.silence_percent} % of them unanswered, ` +
    `${limits.lost_percent} % lost and ${limits.raced_percent} % explained by changes of the data. ` +
    "A canary passes only when it moved somebody and not everybody, and the odds of what it moved are " +
    `at most ${limits.share_factor} times those of its step, or as many times less.`;
}

function unknownSentence(routes: readonly RouteEvidence[]): string {
  const lost = routes.reduce((sum, { coverage }) => sum + coverage.lost, 0);
  const unanswered = routes.reduce((sum, { outcomes }) => sum + outcomes.unanswered, 0);
  if (lost + unanswered === 0) return "No comparison was lost or left unanswered.";
  return `Of ${number(lost)} comparisons that were lost and ${number(unanswered)} that were left ` +
    "unanswered nobody knows whether the answers were the same.";
}

function routeBlocks(route: RouteEvidence): readonly Block[] {
  const { operation, method, path, seen, now, verdict } = route;
  return [
    heading(2, `${operation} (${method} ${path})`),
    paragraph(
      (seen === undefined
        ? "Nothing was seen of this route in the period."
        : `Seen from ${seen.from} to ${seen.to}.`) +
        ` It is on ${
          describeMode(now.mode)
        } now; ${now.samplePercent} of 100 requests are compared.`,
    ),
    ...(now.latch === undefined
      ? []
      : [notice(`Rolled back by itself, and nobody has cleared that: ${now.latch}`)]),
    paragraph(`Verdict: ${verdict.result}`),
    ...(verdict.reasons.length === 0
      ? []
      : [{ kind: "list", items: verdict.reasons } satisfies Block]),
    ...historyBlocks(route),
    ...movedBlocks(route),
    ...comparisonBlocks(route),
    ...differenceBlocks(route),
    ...approvalBlocks(route),
    ...sideBlocks(route),
  ];
}

function historyBlocks({ history }: RouteEvidence): readonly Block[] {
  if (history.length === 0) return [paragraph("Its mode didn't change in the period.")];
  return [heading(3, "Modes"), {
    kind: "table",
    head: ["when", "what", "from", "to", "who", "why"],
    rows: history.map(({ at, what, from, to, by, why, automatic }) => [
      at,
      what,
      from,
      to,
      automatic ? `${by} (by itself)` : by,
      why,
    ]),
  }];
}

function movedBlocks({ moved }: RouteEvidence): readonly Block[] {
  if (moved.length === 0) return [];
  return [heading(3, "What canaries moved"), {
    kind: "table",
    head: ["since", "step", "requests", "of them Lotline's", "clients", "of them Lotline's"],
    numbers: [1, 2, 3, 4, 5],
    rows: moved.map(({ since, percent, requests, movedRequests, clients, movedClients }) => [
      since,
      `${percent} %`,
      number(requests),
      share(movedRequests, requests),
      number(clients),
      share(movedClients, clients),
    ]),
  }];
}

function comparisonBlocks({ outcomes, coverage }: RouteEvidence): readonly Block[] {
  const rows = OUTCOMES.filter(([outcome]) => outcomes[outcome] > 0)
    .map(([outcome, meaning]) => [outcome, number(outcomes[outcome]), meaning]);
  if (rows.length === 0) {
    return [
      paragraph("Nothing was compared."),
      ...(coverage.due + coverage.notSampled === 0 ? [] : [paragraph(coverageSentence(coverage))]),
    ];
  }
  return [
    heading(3, "Comparisons"),
    { kind: "table", head: ["outcome", "count", "meaning"], numbers: [1], rows },
    paragraph(coverageSentence(coverage)),
  ];
}

/** How much of the traffic the comparisons are, and why the rest is missing. */
function coverageSentence(coverage: RouteEvidence["coverage"]): string {
  const { due, lost, lostBy, unanswered, unansweredBy, notSampled, successes } = coverage;
  const part = (count: number, causes: typeof lostBy) =>
    `${share(count, due)}${causes.length === 0 ? "" : `: ${describeCauses(causes)}`}`;
  return `${number(due)} exchanges were to be compared. Lost ${part(lost, lostBy)}. Unanswered ` +
    `${part(unanswered, unansweredBy)}. Left out by the route's share: ${number(notSampled)}. ` +
    `Alike with 2xx: ${number(successes)}.`;
}

function differenceBlocks({ differences, outcomes }: RouteEvidence): readonly Block[] {
  if (differences.length === 0) {
    return outcomes.different === 0 ? [] : [
      heading(3, "Differences"),
      paragraph("What differed isn't kept any more: only the count above is left."),
    ];
  }
  return [heading(3, "Differences"), ...differences.flatMap(oneDifference)];
}

function oneDifference(difference: DifferenceEvidence): readonly Block[] {
  const { fingerprint, kept, first, last, example } = difference;
  const said = kept === 1 ? "1 case is kept" : `${number(kept)} cases are kept`;
  return [
    paragraph(
      `${fingerprint}: ${said}, from ${first} to ${last}. The last of them, in mode ${example.mode}:`,
    ),
    { kind: "verbatim", text: [example.request, ...example.differences.map(diffOf)].join("\n") },
  ];
}

/** One place in two lines, as a diff has them. */
function diffOf({ place, legacy, service }: Difference): string {
  const line = (sign: string, upstream: string, text: string | undefined) =>
    `${sign} ${upstream}: ${text ?? "(nothing)"}`.replaceAll("\n", `\n${sign} `);
  return `@ ${place}\n${line("-", "old server", legacy)}\n${line("+", "Lotline", service)}`;
}

function approvalBlocks({ approvals }: RouteEvidence): readonly Block[] {
  if (approvals.length === 0) return [];
  return [heading(3, "Approvals that were needed"), {
    kind: "table",
    head: ["approval", "uses", "approved", "next review", "reason"],
    numbers: [1],
    rows: approvals.map(({ id, count, entry }) =>
      entry === undefined
        ? [id, number(count), "", "", "It doesn't stand in approved.yaml any more."]
        : [id, number(count), entry.approved, entry.review, entry.reason]
    ),
  }];
}

function sideBlocks({ sides: upstreams }: RouteEvidence): readonly Block[] {
  if (upstreams.legacy.requests + upstreams.service.requests === 0) return [];
  const row = (
    name: string,
    { requests: requested, failed, silent, p50, p99 }: UpstreamFigures,
  ) => [
    name,
    number(requested),
    share(failed, requested),
    share(silent, requested),
    milliseconds(p50),
    milliseconds(p99),
  ];
  return [heading(3, "Latency and failures"), {
    kind: "table",
    head: ["side", "requests", "5xx", "no answer", "p50", "p99"],
    numbers: [1, 2, 3, 4, 5],
    rows: [row("old server", upstreams.legacy), row("Lotline", upstreams.service)],
  }];
}

function share(part: number, whole: number): string {
  return whole === 0 ? "–" : `${number(part)} (${(100 * part / whole).toFixed(2)} %)`;
}

function milliseconds(ms: number | undefined): string {
  return ms === undefined ? "–" : `${ms} ms`;
}

/** With commas between the thousands, whatever the machine's language. */
function number(value: number): string {
  return value.toLocaleString("en-US");
}

function heading(level: 1 | 2 | 3, text: string): Block {
  return { kind: "heading", level, text };
}

function paragraph(text: string): Block {
  return { kind: "paragraph", text };
}

function notice(text: string): Block {
  return { kind: "notice", text };
}
