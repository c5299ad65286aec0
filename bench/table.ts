/**
 * Runs as a table for people.
 *
 * @module
 */

import type { Contender } from "./contender.ts";
import type { Run } from "./measure.ts";
import type { Workload } from "./workloads.ts";

/** The figures of a contender in one run. */
export type Figure =
  | "requestsPerSecond"
  | "p50Ms"
  | "p99Ms"
  | "serverCpuSeconds"
  | "databaseCpuSeconds"
  | "residentMb";

/** The columns of the tables. */
export const FIGURES: readonly { figure: Figure; title: string; digits: number }[] = [
  { figure: "requestsPerSecond", title: "requests/s", digits: 0 },
  { figure: "p50Ms", title: "p50 ms", digits: 2 },
  { figure: "p99Ms", title: "p99 ms", digits: 1 },
  { figure: "serverCpuSeconds", title: "server CPU s / 1,000", digits: 3 },
  { figure: "databaseCpuSeconds", title: "database CPU s / 1,000", digits: 3 },
  { figure: "residentMb", title: "memory MB", digits: 0 },
];

/** A contender's figure and the baseline's, round by round. */
export interface Ratio {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/**
 * The ratios of a contender's figures to the baseline's of the same rounds, or to another of its
 * own figures if `of` says so. Undefined without a round with both, or when a baseline is 0.
 */
export function ratioOf(
  figure: Figure,
  runs: readonly Run[],
  baseline: readonly Run[],
  of: Figure = figure,
): Ratio | undefined {
  const ratios: number[] = [];
  for (const run of runs) {
    const other = baseline.find(({ round }) => round === run.round);
    if (other !== undefined) ratios.push(run[figure] / other[of]);
  }
  return spreadOf(ratios);
}

/** The median and the range of some rounds' ratios; undefined when one divides by zero. */
export function spreadOf(ratios: readonly number[]): Ratio | undefined {
  if (ratios.length === 0 || !ratios.every(Number.isFinite)) return undefined;
  return { median: median(ratios), min: Math.min(...ratios), max: Math.max(...ratios) };
}

/** A ratio in a table: its median, and the ends of its range. */
export function ratioText({ median: middle, min, max }: Ratio): string {
  return `**${middle.toFixed(2)}×** (${min.toFixed(2)}–${max.toFixed(2)})`;
}

/**
 * One Markdown table for each workload: the median of each figure over the rounds. After it comes
 * the median ratio to the {@link baselineOf baseline}'s with the least and the greatest one.
 */
export function tableOf(
  runs: readonly Run[],
  workloads: readonly Workload[],
  contenders: readonly Contender[],
): string {
  return workloads.map((workload) => {
    const ofWorkload = runs.filter((run) => run.workload === workload.name);
    const baseline = baselineOf(ofWorkload, contenders);
    const lines = contenders.flatMap(({ name, title }) => {
      const own = ofWorkload.filter((run) => run.contender === name);
      if (own.length === 0) return [];
      const cells = FIGURES.map((column) => cell(column, own, baseline));
      return [[title, ...cells]];
    });
    const head = ["", ...FIGURES.map(({ title }) => title)];
    return `**${workload.title}** (\`${workload.name}\`)\n\n${markdownTable(head, lines)}\n`;
  }).join("\n");
}

/** The runs of the first contender that has any. */
export function baselineOf(runs: readonly Run[], contenders: readonly Contender[]): Run[] {
  const first = contenders.find(({ name }) => runs.some((run) => run.contender === name));
  return runs.filter((run) => run.contender === first?.name);
}

function cell(
  { figure, digits }: { figure: Figure; digits: number },
  runs: readonly Run[],
  baseline: readonly Run[],
): string {
  const middle = median(runs.map((run) => run[figure]));
  if (Number.isNaN(middle)) return "–";
  const value = inDigits(middle, digits);
  const ratio = runs === baseline || runs[0]?.contender === baseline[0]?.contender
    ? undefined
    : ratioOf(figure, runs, baseline);
  if (ratio === undefined) return value;
  return `${value} · ${ratioText(ratio)}`;
}

/** A Markdown table; all columns but the first are figures. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const rule = head.map((_, index) => index === 0 ? "---" : "---:");
  return [head, rule, ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

/** The median, the mean of the middle two for an even count; NaN without values. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  const upper = sorted[Math.floor(half)] ?? NaN;
  return Number.isInteger(half) ? ((sorted[half - 1] ?? NaN) + upper) / 2 : upper;
}

/** A figure with this many decimal places and commas at the thousands. */
export function inDigits(value: number, digits: number): string {
  const format = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return value.toLocaleString("en-GB", format);
}
