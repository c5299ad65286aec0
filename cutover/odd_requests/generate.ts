import { Random } from "../../dev/random.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { type WireRequest, wireRequestOf } from "./draft.ts";
import { type Mutation, STAGES } from "./mutation.ts";
import { ODD_BYTES } from "./odd_bytes.ts";
import { ODD_DOCUMENTS } from "./odd_documents.ts";
import { ODD_FIELDS } from "./odd_fields.ts";
import { ODD_FRAMING } from "./odd_framing.ts";
import { ODD_HEADERS } from "./odd_headers.ts";
import { ODD_TARGETS } from "./odd_targets.ts";
import { ordinaryDraft, type Plant } from "./plant.ts";

/** Every mutation of a request. */
export const MUTATIONS: readonly Mutation[] = [
  ...ODD_FIELDS,
  ...ODD_DOCUMENTS,
  ...ODD_BYTES,
  ...ODD_HEADERS,
  ...ODD_FRAMING,
  ...ODD_TARGETS,
];

const MAX_MUTATIONS = 3;

/** A mutation with its own random numbers, so that it stays the same when others are left out. */
interface Step {
  readonly mutation: Mutation;
  readonly seed: number;
}

/** How an odd request is made. */
export interface Recipe {
  readonly operation: LegacyOperation;
  readonly seed: number;
  readonly number: number;
  readonly steps: readonly Step[];
}

/** The recipe of the `number`th request of a seed. */
export function recipeOf(seed: number, operation: LegacyOperation, number: number): Recipe {
  const random = new Random(mixed(seed, operation, number));
  const hasBody = operation !== "getHealth" && operation !== "getTraceability";
  const fitting = MUTATIONS.filter(({ of }) =>
    of === "any" || of === (hasBody ? "body" : operation === "getTraceability" ? "trace" : "any")
  );
  const count = 1 + Math.floor(random.next() ** 1.5 * MAX_MUTATIONS);
  const steps = Array.from({ length: count }, () => ({
    mutation: heavy(fitting, random),
    seed: random.below(2 ** 32),
  }));
  return {
    operation,
    seed,
    number,
    steps: steps.sort((a, b) =>
      STAGES.indexOf(a.mutation.stage) - STAGES.indexOf(b.mutation.stage)
    ),
  };
}

/** Makes the request of a recipe. */
export function requestOf(recipe: Recipe, plant: Plant): WireRequest {
  const { seed, operation, number, steps } = recipe;
  const draft = ordinaryDraft(operation, plant, new Random(mixed(seed, operation, number) ^ 1));
  for (const { mutation, seed } of steps) mutation.apply(draft, new Random(seed), plant);
  return wireRequestOf(draft);
}

/** Whether the gateway may refuse a request that the old server answers. */
export function mayBeRefused({ steps }: Recipe, { lines }: WireRequest): boolean {
  // Servers read one line that names two types differently.
  const namesTypes = lines.some((line) => /^content-type:.*,/i.test(line));
  return namesTypes || steps.some(({ mutation }) => mutation.mayBeRefused === true);
}

/** One of some mutations, in proportion to their weights. */
function heavy(mutations: readonly Mutation[], random: Random): Mutation {
  let left = random.next() * mutations.reduce((sum, { weight }) => sum + weight, 0);
  const found = mutations.find(({ weight }) => (left -= weight) < 0) ?? mutations[0];
  if (found === undefined) throw new Error("there are no mutations");
  return found;
}

function mixed(seed: number, operation: LegacyOperation, number: number): number {
  let hash = 2_166_136_261;
  for (const letter of `${seed} ${operation} ${number}`) {
    hash = Math.imul(hash ^ letter.charCodeAt(0), 16_777_619) >>> 0;
  }
  return hash;
}

/** Removes, one after the other, the mutations that a finding doesn't need. */
export async function shrink(
  recipe: Recipe,
  isStillFound: (recipe: Recipe) => Promise<boolean>,
): Promise<Recipe> {
  let smallest = recipe;
  for (let at = smallest.steps.length - 1; at >= 0 && smallest.steps.length > 1; at--) {
    const fewer = { ...smallest, steps: smallest.steps.filter((_, i) => i !== at) };
    if (await isStillFound(fewer)) smallest = fewer;
  }
  return smallest;
}
