import { describeCauses } from "../evidence/coverage.ts";
import type { Difference } from "../evidence/evidence.ts";
import { describeHindrance } from "../rollout/why_nothing_counts.ts";
import { describeMode } from "../routes/routing.ts";
import { comparedOf } from "./compared.ts";
import { type Block, heading, list, notice, paragraph, type Table } from "./document.ts";
import { milliseconds, number, share } from "./figures.ts";
import { answerOf } from "./overview.ts";
import type { RouteReport } from "./read_report.ts";

/** All that is known of one operation. */
export function routeBlocks(route: RouteReport): readonly Block[] {
  const { operation, method, path, seen, now, readiness } = route;
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
      : [notice(`Rolled back, and not cleared since: ${now.latch}`)]),
    paragraph(`Ready: ${answerOf(readiness)}`),
    ...(readiness.because.length === 0 ? [] : [list(readiness.because)]),
    ...periodBlocks(route),
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

function periodBlocks({ periods }: RouteReport): readonly Block[] {
  return [
    ...section("Periods, each judged by its own limits", {
      head: [
        "mode",
        "from",
        "until",
        "old server",
        "Lotline",
        "compared",
        "lost",
        "limits",
        "verdict",
      ],
      numbers: [3, 4, 5, 6, 7],
      rows: periods.map(({ mode, from, until, requests, compared, lost, limits, verdict }) => [
        describeMode(mode),
        from,
        until,
        number(requests.legacy),
        number(requests.service),
        number(compared),
        number(lost),
        String(limits),
        verdict,
      ]),
    }),
    ...periods.every(({ reasons }) => reasons.length === 0) ? [] : [list(
      periods.filter(({ reasons }) => reasons.length > 0).map(reasonsOfPeriod),
    )],
  ];
}

function reasonsOfPeriod(
  { mode, from, verdict, reasons, hindrances }: RouteReport["periods"][number],
): string {
  const why = `${describeMode(mode)} from ${from}, ${verdict}: ${reasons.join("; ")}`;
  return [why, ...hindrances.map(describeHindrance)].join(". Why: ");
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
