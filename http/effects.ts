import type { LoginEffects } from "../auth/sign_in.ts";
import type { Write } from "../db/write.ts";

/**
 * The effects that a request may have. They are part of its state, so that a step of the pipeline
 * can replace them. An operation that uses them has no other effect.
 */
export interface Effects {
  readonly write: Write;
  /** Removes a lot's trace from the cache. */
  forgetTrace(lotCode: string): Promise<void>;
  readonly login: LoginEffects;
  /** Whether refused logins are answered late; see `DELAYED_REFUSALS` in request_pipeline.ts. */
  readonly holdsBack: boolean;
}
