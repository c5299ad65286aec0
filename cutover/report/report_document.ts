import type { Outcome } from "../evidence/coverage.ts";
import { comparedOf } from "./compared.ts";
import { type Block, heading, list, paragraph } from "./document.ts";
import { number } from "./figures.ts";
import { limitBlocks } from "./limit_blocks.ts";
import { answerOf, gatewayBlocks, overviewBlocks, unknownBlocks } from "./overview.ts";
import type { ReportData, RouteReport } from "./read_report.ts";
import { routeBlocks } from "./route_blocks.ts";

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
  "Which build of Lotline, and which of the old server, sent a response.",
  "Operations that the old server doesn't have: there is nothing to compare them with.",
  "What a write leaves in the tables, beyond what its response shows. Writes were compared by a dry " +
  "run of Lotline beside the real write of the old server.",
  "Writes after a route's switch to service: the old server would execute them, so they are not " +
  "compared.",
  "Unknown paths to which the old server responded with 400, 404, 405 or 5xx, and those before the " +
  "gateway counted them.",
  "Exact times: the gateway counts by the minute, and after 30 days by the hour. It counts latencies " +
  "in classes, and a percentile is as exact as its class. Requests that were sent to compare count " +
  "as well.",
  "Personal data and secrets: examples show pseudonyms in their place. One case of each kind of " +
  "difference is shown, and older ones are deleted.",
  "Whether an approved difference harms a client: an approval says that the difference was agreed to.",
];

/** The report as a document, tied to the file of its data by that file's digest. */
export function documentOf(data: ReportData): readonly Block[] {
  return [
    heading(1, TITLE),
    ...overviewBlocks(data, toJson(data)),
    heading(2, "All comparisons of the period"),
    totalsTable(data.routes),
    paragraph(unknownSentence(data.routes)),
    paragraph(
      "The mode of a route says which server sends the responses to clients: the old server in " +
        "legacy and shadow, both in canary, Lotline in service. Outside legacy, a request also goes " +
        "to the other server where that is safe, and the gateway compares the responses. Each " +
        "comparison has one outcome:",
    ),
    { kind: "table", head: ["outcome", "meaning"], rows: OUTCOMES },
    ...limitBlocks(data),
    ...unknownBlocks(data),
    ...gatewayBlocks(data),
    ...data.routes.flatMap(routeBlocks),
    heading(2, "What this report doesn't show"),
    list(NOT_SHOWN),
    heading(2, "Signed"),
    paragraph(
      "I have read this report, its differences and the approvals that it names. It says: ready to " +
        `retire the old server: ${answerOf(data)}.`,
    ),
    {
      kind: "form",
      fields: ["Name of the quality manager", "Date", "Signature", "Decision and remarks"],
    },
  ];
}

/** The data as JSON, the same text for the same data. */
export function toJson(data: ReportData): string {
  return JSON.stringify({ report: TITLE, ...data }, null, 2) + "\n";
}

function totalsTable(routes: readonly RouteReport[]): Block {
  const count = (of: (route: RouteReport) => number) =>
    number(routes.reduce((sum, route) => sum + of(route), 0));
  return {
    kind: "table",
    head: ["operation", ...COLUMNS.map(([name]) => name)],
    numbers: COLUMNS.map((_, at) => at + 1),
    rows: [
      ...routes.map((route) => [
        route.operation,
        ...COLUMNS.map(([, of]) => number(of(route))),
      ]),
      ["all", ...COLUMNS.map(([, of]) => count(of))],
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

function unknownSentence(routes: readonly RouteReport[]): string {
  const lost = routes.reduce((sum, { coverage }) => sum + coverage.lost, 0);
  const unanswered = routes.reduce((sum, { outcomes }) => sum + outcomes.unanswered, 0);
  if (lost + unanswered === 0) return "No comparison was lost or unanswered.";
  return `${number(lost)} comparisons were lost and ${
    number(unanswered)
  } unanswered: it is unknown ` +
    "whether the responses were the same.";
}
