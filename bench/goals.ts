/**
 * The goals of Lotline against other contenders, as data, and whether it reaches them.
 *
 * @module
 */

import type { Contender } from "./contender.ts";
import type { Run } from "./measure.ts";
import { baselineOf, type Figure, markdownTable, type Ratio, ratioOf, ratioText } from "./table.ts";
import { WORKLOADS } from "./workloads.ts";

/** A figure of Lotline's, divided by one of another contender's in the same round. */
export interface Goal {
  readonly workload: string;
  readonly figure: Figure;
  /** A contender's name; `old` is the baseline. */
  readonly beside: string;
  readonly of: Figure;
  /** The least quotient, or the bound that it must stay below. */
  readonly wanted: { readonly min: number } | { readonly below: number };
}

const rate = (workload: string, beside: string, min: number): Goal => ({
  workload,
  figure: "requestsPerSecond",
  beside,
  of: "requestsPerSecond",
  wanted: { min },
});

const slowest = ({ name, stores }: typeof WORKLOADS[number]): Goal => ({
  workload: name,
  figure: "p99Ms",
  beside: "old",
  of: stores === undefined ? "p50Ms" : "p99Ms",
  wanted: { below: stores === undefined ? 1 : 0.5 },
});

export const GOALS: readonly Goal[] = [
  rate("health", "old", 7),
  rate("health", "bare", 0.5),
  rate("trace", "old", 4),
  rate("trace", "pgbench", 0.7),
  rate("trace-cached", "old", 14),
  rate("login", "old", 1.3),
  rate("qc", "old", 2.5),
  rate("lot", "old", 2.5),
  rate("lot", "pgbench", 0.5),
  ...WORKLOADS.map(slowest),
];

/** A goal and its measured value. */
export interface Outcome {
  /** The contender that was Lotline here. */
  readonly contender: string;
  readonly goal: Goal;
  readonly ratio: Ratio;
  /** Whether the median of the rounds reaches it. */
  readonly isMet: boolean;
}

/** The outcomes of the goals in these runs, for each of Lotline's contenders. */
export function outcomesOf(runs: readonly Run[], contenders: readonly Contender[]): Outcome[] {
  return GOALS.flatMap((goal) => {
    const ofWorkload = runs.filter(({ workload }) => workload === goal.workload);
    const others = goal.beside === "old"
      ? baselineOf(ofWorkload, contenders)
      : ofWorkload.filter(({ contender }) => contender === goal.beside);
    return contenders.filter(({ name }) => name.startsWith("lotline")).flatMap(({ name }) => {
      const own = ofWorkload.filter(({ contender }) => contender === name);
      const ratio = ratioOf(goal.figure, own, others, goal.of);
      if (ratio === undefined) return [];
      const { median } = ratio;
      const { wanted } = goal;
      const isMet = "min" in wanted ? median >= wanted.min : median < wanted.below;
      return [{ contender: name, goal, ratio, isMet }];
    });
  });
}

const FIGURES: Partial<Record<Figure, string>> = {
  requestsPerSecond: "requests/s",
  p50Ms: "p50",
  p99Ms: "p99",
};

/** One line for each outcome. */
export function goalTable(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map(({ contender, goal, ratio, isMet }) => {
    const { workload, figure, beside, of, wanted } = goal;
    return [
      `\`${workload}\`: ${FIGURES[figure]} to the ${FIGURES[of]} of ${beside}`,
      contender,
      "min" in wanted ? `at least ${wanted.min}×` : `below ${wanted.below}×`,
      ratioText(ratio),
      isMet ? "met" : "MISSED",
    ];
  });
  return markdownTable(["", "by", "wanted", "measured", ""], rows);
}
