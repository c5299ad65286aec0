import type { OutcomeCounts } from "../evidence/coverage.ts";

/** The comparisons that were made. */
export function comparedOf(outcomes: OutcomeCounts): number {
  const { same = 0, approved = 0, raced = 0, late = 0, different = 0 } = outcomes;
  return same + approved + raced + late + different;
}
