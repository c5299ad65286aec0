import { createHash } from "node:crypto";
import { describeCauses, type Outcome } from "../evidence/coverage.ts";
import type { Difference } from "../evidence/evidence.ts";
import type { Thresholds } from "../rollout/thresholds.ts";
import { describeMode } from "../routes/routing.ts";
import { type Block, heading, list, notice, paragraph, type Table } from "./document.ts";
import { comparedOf, type ReportData, resultOf, type RouteReport } from "./read_report.ts";

export const TITLE = "Evidence of the cutover";

const OUTCOMES: readonly (readonly [outcome: Outcome, meaning: string])[] = [
  ["same", "both servers sent the same response"],
  ["approved", "the responses differ in a way that was approved beforehand"],
  ["raced", "the responses differ because the data changed between them"],
  ["late", "the responses differed, and were the same when both were requested again"],
  ["different", "the responses differ, and no approval covers it"],
  ["unanswered", "one of the two servers sent no response"],
  ["lost", "the comparison was not made, or not finished"],
];

const NOT_SHOWN: readonly string[] = [
  "Requests that no client sent in the period: they were not compared.",
  "Requests that were not sampled, did not pass through the gateway, or were refused by it.",
  "Whether the responses of lost and unanswered comparisons were the same.",
  "How varied the requests were: the same trace, requested a thousand times, is a thousand comparisons.",
  "Operations that the old server doesn't have: there is nothing to compare them with.",
  "What a write leaves in the tables, beyond what its response shows. Writes were compared by a dry " +
  "run of Lotline beside the real write of the old server.",
  "Writes after a route's switch to service: the old server would execute them, so they are not " +
  "compared.",
  "Exact times: the gateway counts them in classes, and a percentile is as exact as its class. " +
  "Requests that were sent to compare count as well.",
  "Personal data and secrets: examples show pseudonyms in their place. One case of each kind of " +
  "difference is shown, and older ones are deleted.",
  "Whether an approved difference harms a client: an approval says that the difference was agreed to.",
];

/** The report as a document, tied to the file of its data by that file's digest. */
export function documentOf(data: ReportData): readonly Block[] {
  const result = resultOf(data);
  return [
    heading(1, TITLE),
    paragraph(
      `The responses of the old server and of Lotline to clients' requests from ${data.since} until ` +
        `${data.until} (UTC), as the gateway compared them.`,
    ),
    notice(`Verdict over all routes: ${result}`),
    ...(data.killed === undefined ? [] : [
      notice(
        `The kill switch is on: all requests go to the old server (${data.killed.by}: ${data.killed.why})`,
      ),
    ]),
    paragraph(
      "SHA-256 of the data (the file report.json): " +
        createHash("sha256").update(toJson(data)).digest("hex"),
    ),
    heading(2, "All routes"),
    totalsTable(data.routes),
    paragraph(unknownSentence(data.routes)),
    paragraph(
      "The mode of a route says which server sends the responses to clients: the old server in " +
        "legacy and shadow, both in canary, Lotline in service. Outside legacy, a request also goes " +
        "to the other server where that is safe, and the gateway compares the responses. Each " +
        "comparison has one outcome:",
    ),
    { kind: "table", head: ["outcome", "meaning"], rows: OUTCOMES },
    heading(2, "How a verdict is reached"),
    list(limitItems(data.limits)),
    ...data.routes.flatMap(routeBlocks),
    heading(2, "What this report doesn't show"),
    list(NOT_SHOWN),
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

function totalsTable(routes: readonly RouteReport[]): Block {
  const count = (of: (route: RouteReport) => number) =>
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

const COLUMNS: readonly (readonly [name: string, of: (route: RouteReport) => number])[] = [
  ["compared", ({ outcomes }) => comparedOf(outcomes)],
  ...(["same", "approved", "raced", "late", "different", "unanswered"] as const).map((outcome) =>
    [outcome, ({ outcomes }: RouteReport) => outcomes[outcome]] as const
  ),
  ["lost", ({ coverage: { lost } }) => lost],
];

function limitItems(limits: Thresholds): readonly string[] {
  const samples = number(limits.min_samples);
  const successes = number(Math.min(limits.min_successes, limits.min_samples));
  return [
    "One difference without an approval fails a route.",
    `More than ${limits.late_percent} % of late comparisons fail it. So does a share of failed ` +
    `requests above the old server's by more than ${limits.error_margin_percent} % of the requests, ` +
    `or a p99 above ${limits.latency_factor} times the old server's plus ` +
    `${limits.latency_slack_ms} ms.`,
    `A pass needs ${samples} responses of each server and ${samples} comparisons that are same or ` +
    `approved, ${successes} of them with 2xx.`,
    `For a pass, at most ${limits.silence_percent} % of the comparisons are unanswered, ` +
    `${limits.lost_percent} % lost and ${limits.raced_percent} % raced.`,
    "A canary passes only if it moved some of the clients and not all. The odds of the share that it " +
    `moved are at most ${limits.share_factor} times those of its step, or as many times less.`,
  ];
}

function unknownSentence(routes: readonly RouteReport[]): string {
  const lost = routes.reduce((sum, { coverage }) => sum + coverage.lost, 0);
  const unanswered = routes.reduce((sum, { outcomes }) => sum + outcomes.unanswered, 0);
  if (lost + unanswered === 0) return "No comparison was lost or unanswered.";
  return `${number(lost)} comparisons were lost and ${
    number(unanswered)
  } unanswered: it is unknown ` +
    "whether the responses were the same.";
}

function routeBlocks(route: RouteReport): readonly Block[] {
  const { operation, method, path, seen, now, verdict } = route;
  return [
    heading(2, `${operation} (${method} ${path})`),
    paragraph(
      (seen === undefined
        ? "There is no evidence about this route in the period."
        : `Evidence from ${seen.from} to ${seen.to}.`) +
        ` The mode is ${
          describeMode(now.mode)
        }, with ${now.samplePercent} % of the requests sampled.`,
    ),
    ...(now.latch === undefined
      ? []
      : [notice(`Rolled back automatically, and not cleared since: ${now.latch}`)]),
    paragraph(`Verdict: ${verdict.result}`),
    ...(verdict.reasons.length === 0 ? [] : [list(verdict.reasons)]),
    ...historyBlocks(route),
    ...movedBlocks(route),
    ...comparisonBlocks(route),
    ...differenceBlocks(route),
    ...approvalBlocks(route),
    ...sideBlocks(route),
  ];
}

/** A table with its heading; nothing without rows. */
function section(title: string, table: Omit<Table, "kind">): readonly Block[] {
  return table.rows.length === 0 ? [] : [heading(3, title), { kind: "table", ...table }];
}

function historyBlocks({ history }: RouteReport): readonly Block[] {
  if (history.length === 0) return [paragraph("The mode did not change in the period.")];
  return section("Modes", {
    head: ["when", "what", "from", "to", "who", "why"],
    rows: history.map(({ at, what, from, to, by, why, automatic }) => {
      const who = automatic ? `${by} (automatic)` : by;
      return [at, what, from, to, who, why];
    }),
  });
}

function movedBlocks({ moved }: RouteReport): readonly Block[] {
  return section("Traffic that canaries moved", {
    head: ["since", "step", "requests", "of them at Lotline", "clients", "of them at Lotline"],
    numbers: [1, 2, 3, 4, 5],
    rows: moved.map(({ since, percent, requests, movedRequests, clients, movedClients }) => [
      since,
      `${percent} %`,
      number(requests),
      share(movedRequests, requests),
      number(clients),
      share(movedClients, clients),
    ]),
  });
}

function comparisonBlocks({ outcomes, coverage }: RouteReport): readonly Block[] {
  return [
    heading(3, "Comparisons"),
    ...(comparedOf(outcomes) > 0 ? [] : [paragraph("Nothing was compared.")]),
    ...(coverage.due + coverage.notSampled === 0 ? [] : [paragraph(coverageSentence(coverage))]),
  ];
}

/** How much of the traffic was compared, and why the rest was not. */
function coverageSentence(coverage: RouteReport["coverage"]): string {
  const { due, lost, lostBy, unanswered, unansweredBy, notSampled, successes } = coverage;
  const part = (count: number, causes: typeof lostBy) =>
    `${share(count, due)}${causes.length === 0 ? "" : `, by cause: ${describeCauses(causes)}`}`;
  return `Due for comparison: ${number(due)} exchanges. Lost: ${part(lost, lostBy)}. Unanswered: ` +
    `${part(unanswered, unansweredBy)}. Not sampled: ${number(notSampled)}. Same with 2xx: ` +
    `${number(successes)}.`;
}

function differenceBlocks({ differences, outcomes }: RouteReport): readonly Block[] {
  if (differences.length === 0 && outcomes.different === 0) return [];
  const examples = differences.length > 0
    ? differences.flatMap(oneDifference)
    : [paragraph("The examples were deleted; only the count above is left.")];
  return [heading(3, "Differences"), ...examples];
}

function oneDifference(
  { fingerprint, kept, first, last, example }: RouteReport["differences"][number],
): readonly Block[] {
  const cases = kept === 1 ? "1 case is kept" : `${number(kept)} cases are kept`;
  return [
    paragraph(
      `Kind ${fingerprint}: ${cases}, from ${first} to ${last}. The last one, in mode ${example.mode}:`,
    ),
    { kind: "verbatim", text: [example.request, ...example.differences.map(diffOf)].join("\n") },
  ];
}

/** One place in the form of a diff. */
function diffOf({ place, legacy, service }: Difference): string {
  const line = (sign: string, upstream: string, text: string | undefined) =>
    `${sign} ${upstream}: ${text ?? "(nothing)"}`.replaceAll("\n", `\n${sign} `);
  return `@ ${place}\n${line("-", "old server", legacy)}\n${line("+", "Lotline", service)}`;
}

function approvalBlocks({ approvals }: RouteReport): readonly Block[] {
  return section("Approvals used", {
    head: ["approval", "uses", "approved", "next review", "reason"],
    numbers: [1],
    rows: approvals.map(({ id, count, entry }) =>
      entry === undefined
        ? [id, number(count), "", "", "It is no longer in approved.yaml."]
        : [id, number(count), entry.approved, entry.review, entry.reason]
    ),
  });
}

function sideBlocks({ sides: { legacy, service } }: RouteReport): readonly Block[] {
  if (legacy.requests + service.requests === 0) return [];
  const row = (name: string, { requests, failed, silent, p50, p99 }: typeof legacy) => [
    name,
    number(requests),
    share(failed, requests),
    share(silent, requests),
    milliseconds(p50),
    milliseconds(p99),
  ];
  return section("Latency and failures", {
    head: ["server", "requests", "5xx", "no response", "p50", "p99"],
    numbers: [1, 2, 3, 4, 5],
    rows: [row("old server", legacy), row("Lotline", service)],
  });
}

function share(part: number, whole: number): string {
  return whole === 0 ? "–" : `${number(part)} (${(100 * part / whole).toFixed(2)} %)`;
}

const milliseconds = (ms: number | undefined) => ms === undefined ? "–" : `${ms} ms`;
/** With commas between the thousands, in every locale. */
const number = (value: number) => value.toLocaleString("en-US");
