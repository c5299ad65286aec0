import type { Thresholds } from "../rollout/thresholds.ts";
import type { Limits } from "./judged_periods.ts";

/** A change of the limits: who made it, why, and what it changed. */
export interface LimitsChange {
  readonly id: number;
  readonly at: string;
  readonly by: string;
  readonly why: string;
  /** Such as `min_samples 200 → 50`. */
  readonly changes: readonly string[];
  /** Those of them that make a pass easier. */
  readonly loosened: readonly string[];
}

type LimitName = keyof Thresholds;

/** Whether a greater value makes a pass easier; a longer window has more samples in it. */
const IS_LOOSER_WHEN_GREATER: Readonly<Record<LimitName, boolean>> = {
  window_seconds: true,
  min_samples: false,
  error_margin_percent: true,
  latency_factor: true,
  latency_slack_ms: true,
  late_percent: true,
  silence_percent: true,
  share_factor: true,
  lost_percent: true,
  raced_percent: true,
  min_successes: false,
};

/** What each set of limits changed of the one before; the first has nothing before it. */
export function limitChanges(
  limits: readonly (Limits & { readonly who: string; readonly why: string })[],
): LimitsChange[] {
  return limits.slice(1).map(({ id, at, who, why, values }, index) => {
    const before = limits[index]?.values ?? values;
    const names = (Object.keys(IS_LOOSER_WHEN_GREATER) as LimitName[])
      .filter((name) => values[name] !== before[name]);
    const textOf = (name: LimitName) => `${name} ${before[name]} → ${values[name]}`;
    const loosened = names.filter((name) =>
      (values[name] > before[name]) === IS_LOOSER_WHEN_GREATER[name]
    );
    return {
      id,
      at,
      by: who,
      why,
      changes: names.map(textOf),
      loosened: loosened.map(textOf),
    };
  });
}
