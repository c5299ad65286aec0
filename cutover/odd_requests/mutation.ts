import type { Random } from "../../dev/random.ts";
import type { Draft } from "./draft.ts";
import type { Plant } from "./plant.ts";

/** In this order mutations are made: a later one finds what an earlier one has left. */
export const STAGES = ["fields", "document", "bytes", "headers", "framing", "target"] as const;

/** A way in which a request can be odd. */
export interface Mutation {
  readonly name: string;
  readonly stage: typeof STAGES[number];
  /** For which requests it means something. */
  readonly of: "body" | "trace" | "any";
  /** How often it is taken, beside others. */
  readonly weight: number;
  /**
   * What it makes isn't HTTP, or what two servers could read differently: the gateway may refuse it
   * where the old server answered.
   */
  readonly mayBeRefused?: boolean;
  apply(draft: Draft, random: Random, plant: Plant): void;
}
