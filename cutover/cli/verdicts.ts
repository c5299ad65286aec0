import { z } from "zod";
import { UsageError } from "../../command_line.ts";
import { columns, printable } from "../../terminal.ts";
import { coverageOf, describeCauses } from "../evidence/coverage.ts";
import { describeShare } from "../routes/moved_share.ts";
import { describeMode } from "../routes/routing.ts";
import {
  insertThresholds,
  readThresholds,
  type Thresholds,
  ThresholdsForm,
} from "../rollout/thresholds.ts";
import { type Pace, readVerdicts, type RouteVerdict } from "../rollout/verdicts.ts";
import { describeHindrance } from "../rollout/why_nothing_counts.ts";
import { type Command, NOTE_OPTIONS, NOTE_USAGE, noteIn } from "./command.ts";

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
    ["operation", "mode", ...OUTCOMES, "lost", "p50/p99 old", "p50/p99 new", "verdict"],
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
  return [table, ...moved, ...verdicts.flatMap(coverageLine), ...reasons, ...whyLines(verdicts)]
    .join("\n");
}

/** For each route whose evidence isn't enough: why, and what to do. */
export function whyLines(verdicts: readonly RouteVerdict[]): string[] {
  return verdicts.flatMap(({ operation, hindrances = [] }) =>
    hindrances.map((one) => `${operation}: ${printable(describeHindrance(one))}`)
  );
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

export const thresholds: Command = {
  usage: `[NAME=VALUE …] ${NOTE_USAGE}`,
  does: "shows the limits that verdicts use; with values, sets them from now on",
  words: [0, Infinity],
  options: NOTE_OPTIONS,
  async run({ sql }, typed) {
    const now = await readThresholds(sql);
    if (typed.words.length === 0) return { text: thresholdTable(now), json: now };
    const next = changed(now, typed.words);
    await insertThresholds(sql, next, noteIn(typed));
    return { text: thresholdTable(next), json: next };
  },
};

function changed(now: Thresholds, words: readonly string[]): Thresholds {
  const given: Record<string, number> = {};
  for (const word of words) {
    const [, name, value] = /^([a-z_]+)=(\d+(?:\.\d+)?)$/.exec(word) ?? [];
    if (name === undefined || value === undefined || !Object.hasOwn(now, name)) {
      throw new UsageError(
        `${JSON.stringify(word)} is no limit: type NAME=NUMBER, with one of ` +
          Object.keys(now).join(" "),
      );
    }
    given[name] = Number(value);
  }
  const { success, data, error } = ThresholdsForm.safeParse({ ...now, ...given });
  if (success) return data;
  throw new UsageError(z.prettifyError(error));
}

function thresholdTable(thresholds: Thresholds): string {
  return columns(
    ["limit", "value"],
    Object.entries(thresholds).map(([name, value]) => [name, String(value)]),
  );
}
