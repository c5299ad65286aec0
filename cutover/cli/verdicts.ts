import { columns, printable } from "../../terminal.ts";
import { coverageOf, describeCauses } from "../evidence/coverage.ts";
import { describeShare } from "../routes/moved_share.ts";
import { describeMode } from "../routes/routing.ts";
import { type Pace, readVerdicts, type RouteVerdict } from "../rollout/verdicts.ts";
import type { Command } from "./command.ts";

export const verdicts: Command = {
  usage: "",
  does: "shows each route of the old API: the comparisons of its epoch, latency and verdict",
  async run({ sql }) {
    const { killed, verdicts } = await readVerdicts(sql);
    const alarm = killed ? "The kill switch is on: all routes are on legacy.\n" : "";
    const json = {
      killed,
      verdicts: verdicts.map((one) => ({ ...one, coverage: coverageOf(one.counts) })),
    };
    return { text: alarm + verdictTable(verdicts), json };
  },
};

const OUTCOMES = ["same", "approved", "raced", "late", "different", "unanswered"] as const;

function verdictTable(verdicts: readonly RouteVerdict[]): string {
  const table = columns(
    [
      "operation",
      "mode",
      ...OUTCOMES,
      "lost",
      "p50/p99 old",
      "p50/p99 new",
      "verdict",
    ],
    verdicts.map(({ operation, route, counts, legacy, service, judgement }) => [
      operation,
      describeMode(route.mode),
      ...OUTCOMES.map((outcome) => String(counts.outcomes[outcome] ?? 0)),
      lostText(counts),
      paceText(legacy),
      paceText(service),
      judgement.verdict,
    ]),
  );
  const reasons = verdicts
    .filter(({ route, judgement }) => route.mode.name !== "legacy" && judgement.reasons.length > 0)
    .map(({ operation, judgement }) => `${operation}: ${printable(judgement.reasons.join("; "))}`);
  const moved = verdicts.flatMap(({ operation, route, share }) =>
    route.mode.name === "canary" && share !== undefined && share.requests > 0
      ? [`${operation}: ${describeShare(share)}`]
      : []
  );
  return [table, ...moved, ...verdicts.flatMap(coverageLine), ...reasons].join("\n");
}

function lostText(counts: RouteVerdict["counts"]): string {
  const { lost, lostPercent } = coverageOf(counts);
  return lost === 0 ? "0" : `${lost} (${lostPercent.toPrecision(2)} %)`;
}

/** Why comparisons are missing, if some are. */
function coverageLine({ operation, counts }: RouteVerdict): readonly string[] {
  const { lost, lostBy, unanswered, unansweredBy, notSampled } = coverageOf(counts);
  const parts = [
    ...(lost > 0 ? [`lost: ${describeCauses(lostBy)}`] : []),
    ...(unanswered > 0 ? [`unanswered: ${describeCauses(unansweredBy)}`] : []),
    ...(notSampled > 0 ? [`not sampled: ${notSampled}`] : []),
  ];
  return parts.length === 0 ? [] : [`${operation}: ${parts.join("; ")}`];
}

function paceText({ p50, p99 }: Pace): string {
  if (p50 === undefined || p99 === undefined) return "";
  return `${p50.toPrecision(2)}/${p99.toPrecision(2)} ms`;
}
