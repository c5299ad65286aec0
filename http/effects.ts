import type { LoginEffects } from "../auth/sign_in.ts";
import type { Write } from "../db/write.ts";

/**
 * What a request may do besides being answered. It is part of the request's state, so that a step of
 * the pipeline can put something else in its place. An operation that goes by it has no effect of
 * another kind.
 */
export interface Effects {
  /** Executes a statement that writes. */
  readonly write: Write;
  /** Removes the answer for a lot from the trace cache. */
  forgetTrace(lotCode: string): Promise<void>;
  readonly login: LoginEffects;
  /** Whether refusals are held back that a program would get which guesses passwords. */
  readonly holdsBack: boolean;
}
