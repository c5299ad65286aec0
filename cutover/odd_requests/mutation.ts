import type { Random } from "../../dev/random.ts";
import type { Draft } from "./draft.ts";
import type { Plant } from "./plant.ts";

/** Mutations run in this order: a later one receives the result of an earlier one. */
export const STAGES = ["fields", "document", "bytes", "headers", "framing", "target"] as const;

/** A way to make a request odd. */
export interface Mutation {
  readonly name: string;
  readonly stage: typeof STAGES[number];
  /** The requests that it applies to. */
  readonly of: "body" | "trace" | "any";
  /** Its weight among all mutations. */
  readonly weight: number;
  /**
   * The result isn't HTTP, or two servers could read it differently: the gateway may refuse it
   * where the old server answers.
   */
  readonly mayBeRefused?: boolean;
  apply(draft: Draft, random: Random, plant: Plant): void;
}
