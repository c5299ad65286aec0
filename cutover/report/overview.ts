import { createHash } from "node:crypto";
import { isSafeOperation } from "../exchange/operations.ts";
import { describeMode } from "../routes/routing.ts";
import { type Block, heading, list, notice, paragraph } from "./document.ts";
import { number } from "./figures.ts";
import { daysOf } from "./month_ends.ts";
import type { ReportData, RouteReport } from "./read_report.ts";
import { REQUIRED_DAYS } from "./readiness.ts";

/** `yes` or `no`, in one word. */
export const answerOf = ({ ready }: { readonly ready: boolean }) => ready ? "yes" : "no";

/** Why the old server is still needed, a sentence each; none when it isn't. */
export function reasonsOf({ because, routes }: ReportData): string[] {
  return [
    ...because,
    ...routes.flatMap(({ operation, readiness }) =>
      readiness.because.map((reason) => `${operation}: ${reason}`)
    ),
  ];
}

/** The question, its answer, and what was known when it was given. */
export function overviewBlocks(data: ReportData, json: string): readonly Block[] {
  const { since, until, killed, routes } = data;
  const reasons = reasonsOf(data);
  return [
    notice(
      `Ready to retire the old server: ${answerOf(data)}${data.ready ? "" : ", because"}`,
      data.ready ? "good" : "warning",
    ),
    ...data.ready ? [paragraph(READY)] : [list(reasons)],
    paragraph(
      `The responses of the old server and of Lotline to clients' requests from ${since} until ` +
        `${until} (UTC), as the gateway compared them.`,
    ),
    ...killed === undefined ? [] : [
      notice(
        `The kill switch is on: all requests go to the old server (${killed.by}: ${killed.why})`,
      ),
    ],
    list(originItems(data)),
    paragraph(
      `SHA-256 of the data (the file report.json): ${
        createHash("sha256").update(json).digest("hex")
      }`,
    ),
    heading(2, "Each operation"),
    {
      kind: "table",
      head: [
        "operation",
        "ready",
        "mode",
        "on service since",
        "days",
        "month's end",
        "comparisons that count",
        "different",
        "lost",
      ],
      numbers: [4, 6, 7, 8],
      rows: routes.map(rowOf),
    },
    paragraph(
      `Ready is an operation that was on service for ${REQUIRED_DAYS} days on end, a month's end ` +
        "among them, while a gateway ran. The comparisons that count are without a difference, or " +
        "with an approved one: those of a read on service, and those of a write before it, since " +
        "nothing compares a write afterwards. The columns different and lost are of the whole period.",
    ),
    paragraph(approvalsSentence(data)),
  ];
}

function approvalsSentence({ routes }: ReportData): string {
  const uses = new Map<string, number>();
  for (const { id, count } of routes.flatMap(({ approvals }) => approvals)) {
    uses.set(id, (uses.get(id) ?? 0) + count);
  }
  const list = [...uses].map(([id, count]) => `${id} ${number(count)}`).join(", ");
  return list === "" ? "No approval was used." : `Approvals used: ${list}.`;
}

const READY =
  "Every operation was on service for long enough, and nothing speaks against it in what was seen. " +
  "The last but one section says what was not seen.";

function rowOf({ operation, readiness, now, outcomes, coverage }: RouteReport): string[] {
  const { since, days, monthEnds, comparisons } = readiness;
  return [
    operation,
    answerOf(readiness),
    describeMode(now.mode),
    since ?? "–",
    since === undefined ? "–" : String(days),
    monthEnds.join(", ") || "none",
    `${number(comparisons)}${isSafeOperation(operation) ? "" : " (write)"}`,
    number(outcomes.different),
    number(coverage.lost),
  ];
}

function originItems({ lotline, gateways, oldServer }: ReportData): string[] {
  const build = ({ version, commit }: { version: string; commit: string | null }) =>
    `${version}, commit ${commit ?? "not told"}`;
  return [
    `Made by Lotline ${build(lotline)}.`,
    gateways.length === 0
      ? "Gateways: none noted that it ran."
      : `Gateways: ${
        gateways.map((one) => `${build(one)}, from ${one.from} to ${one.to}`).join("; ")
      }.`,
    `The old server: ${oldServer ?? "not told"}.`,
    "The version of Lotline's own servers: not told. The evidence has their responses alone.",
  ];
}

/** When nothing was seen, because no gateway ran. */
export function gatewayBlocks({ withoutGateway }: ReportData): readonly Block[] {
  return [
    heading(2, "Times without a gateway"),
    ...withoutGateway.length === 0 ? [paragraph("A gateway ran in the whole period.")] : [
      paragraph(
        `For ${daysOf(withoutGateway).toFixed(2)} days no gateway noted that it ran, for over a ` +
          "minute each. What clients sent then is not in this report.",
      ),
      {
        kind: "table" as const,
        head: ["from", "to", "hours"],
        numbers: [2],
        rows: withoutGateway.slice(0, MAX_GAPS).map((gap) => [
          gap.from,
          gap.to,
          (daysOf([gap]) * 24).toFixed(1),
        ]),
      },
      ...withoutGateway.length > MAX_GAPS
        ? [paragraph(`and ${number(withoutGateway.length - MAX_GAPS)} more.`)]
        : [],
    ],
  ];
}

const MAX_GAPS = 50;

/** Requests that no operation matches. */
export function unknownBlocks({ unknown }: ReportData): readonly Block[] {
  return [
    heading(2, "Unknown paths"),
    ...unknown.length === 0
      ? [paragraph("The old server responded to no request that the contract doesn't know.")]
      : [
        paragraph(
          "The old server responded to these requests, which Lotline doesn't know. Pseudonyms stand " +
            "for what may be personal data: the old server's access log has the paths, by the time.",
        ),
        {
          kind: "table" as const,
          head: ["request", "times", "first", "last"],
          numbers: [1],
          rows: unknown.map(({ method, path, count, first, last }) => [
            `${method} ${path}`,
            number(count),
            first,
            last,
          ]),
        },
      ],
  ];
}
