import type { Thresholds } from "../rollout/thresholds.ts";
import { type Block, heading, list, paragraph } from "./document.ts";
import { number } from "./figures.ts";
import type { ReportData } from "./read_report.ts";

/** How verdicts are reached, and who changed that. */
export function limitBlocks({ limits, limitChanges }: ReportData): readonly Block[] {
  const last = limits.at(-1);
  if (last === undefined) return [];
  return [
    heading(2, "How a period is judged"),
    paragraph(
      `Each period is judged by the limits that were in force in it. The last ones, number ${last.id}:`,
    ),
    list(limitItems(last.values)),
    heading(3, "Changes of the limits"),
    ...limitChanges.length === 0
      ? [paragraph("Nobody changed the limits: they are those that Lotline begins with.")]
      : [{
        kind: "table" as const,
        head: ["limits", "when", "what", "a pass gets", "who", "why"],
        numbers: [0],
        rows: limitChanges.map(({ id, at, changes, loosened, by, why }) => [
          String(id),
          at,
          changes.join(", ") || "nothing",
          loosened.length > 0 ? "easier" : "no easier",
          by,
          why,
        ]),
      }],
  ];
}

function limitItems(limits: Thresholds): readonly string[] {
  const samples = number(limits.min_samples);
  const successes = number(Math.min(limits.min_successes, limits.min_samples));
  return [
    "One difference without an approval fails a route.",
    `More than ${limits.late_percent} % of late comparisons fail it. So does a share of failed ` +
    `requests above the old server's by more than ${limits.error_margin_percent} % of the requests, ` +
    `or a p99 above ${limits.latency_factor} times the old server's plus ` +
    `${limits.latency_slack_ms} ms.`,
    `A pass needs ${samples} responses of each server and ${samples} comparisons without a ` +
    `difference, or with an approved one, ${successes} of them with 2xx.`,
    `For a pass, at most ${limits.silence_percent} % of the comparisons are unanswered, ` +
    `${limits.lost_percent} % lost and ${limits.raced_percent} % raced.`,
    "A canary passes only if it moved some of the clients and not all. The odds of the share that it " +
    `moved are at most ${limits.share_factor} times those of its step, or as many times less.`,
  ];
}
