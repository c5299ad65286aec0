/** Critical: it affects health or every trace. Major: the books. */
export type Severity = "critical" | "major" | "minor";

interface KindOfFinding {
  readonly severity: Severity;
  readonly what: string;
  /** The names of its numbers. Kilograms and °C are text, moments as answers show them. */
  readonly numbers: readonly string[];
}

/**
 * What an audit checks, in this order; `openapi.yaml` has the same.
 *
 * A number that is missing, NaN or infinite is a finding of its own, and no other check uses it: in
 * PostgreSQL NaN is greater than every number, and a sum with it is NaN. A link from a lot to itself is
 * one finding, and makes the lot neither a parent nor a child.
 */
export const KINDS = {
  cycle: {
    severity: "critical",
    what: "lots that are their own ancestors, by way of at least one other lot",
    numbers: ["length"],
  },
  self_link: {
    severity: "critical",
    what: "a link from a lot to itself",
    numbers: ["quantity_kg", "linked_at"],
  },
  half_link: {
    severity: "major",
    what: "a link without parent, without child or without both",
    numbers: ["quantity_kg", "linked_at"],
  },
  overdrawn: {
    severity: "major",
    // No tolerance: the lot was weighed once, and `over_kg` shows a mere rounding. Negative quantities
    // are corrections.
    what:
      "the quantities of a lot's links downwards, half ones included, sum to more than it weighs",
    numbers: ["weight_kg", "used_kg", "over_kg"],
  },
  gained_weight: {
    severity: "major",
    // Judged only where the quantity of every input is known.
    what: "a lot weighs more than its inputs' sum and the tolerance on top",
    numbers: ["weight_kg", "inputs_kg", "over_kg"],
  },
  made_of_nothing: {
    severity: "major",
    what: "a lot that is not RAW and has no parents",
    numbers: ["weight_kg"],
  },
  orphan: {
    severity: "minor",
    // Also made of nothing; without any links it may be a mere slip. RAW without links is stock.
    what: "a lot that is not RAW and that no link names, not even a half one",
    numbers: ["weight_kg"],
  },
  missing_weight: { severity: "minor", what: "a lot without a weight", numbers: [] },
  negative_weight: {
    severity: "major",
    what: "a lot that weighs less than nothing",
    numbers: ["weight_kg"],
  },
  weight_not_a_number: {
    severity: "major",
    what: "a lot whose weight is NaN or infinite",
    numbers: ["weight_kg"],
  },
  missing_quantity: {
    severity: "minor",
    what: "a link without a quantity",
    numbers: ["quantity_kg", "linked_at"],
  },
  negative_quantity: {
    severity: "major",
    what: "a link with a quantity below zero",
    numbers: ["quantity_kg", "linked_at"],
  },
  quantity_not_a_number: {
    severity: "major",
    what: "a link whose quantity is NaN or infinite",
    numbers: ["quantity_kg", "linked_at"],
  },
  temperature_out_of_range: {
    severity: "major",
    what: "a lot whose temperature is outside the limits of its type, or NaN",
    numbers: ["temperature_c", "least_c", "most_c"],
  },
  used_after_fail: {
    severity: "critical",
    // By the link's time, or its child's if it has none, strictly after; a PASS of the same moment as
    // the link releases. Decisions without a verdict or a time don't count.
    what:
      "a link made after a gate's FAIL of its parent that no later decision of the gate replaced",
    numbers: ["quantity_kg", "linked_at", "decided_at"],
  },
  used_after_hold: {
    severity: "major",
    what: "the same after a HOLD",
    numbers: ["quantity_kg", "linked_at", "decided_at"],
  },
  fg_without_pass: {
    severity: "major",
    // A decision without a time counts as the oldest; of several of one moment the worst counts.
    what: "an FG lot that no gate has passed, or of which a gate's latest decision is FAIL or HOLD",
    numbers: ["decisions", "worst"],
  },
} as const satisfies Record<string, KindOfFinding>;

/** Stored with each finding and compared with the last audit's. */
export type Kind = keyof typeof KINDS;

export const KIND_NAMES = Object.keys(KINDS) as [Kind, ...Kind[]];
