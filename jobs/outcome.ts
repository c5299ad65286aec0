import type { AttemptEnd } from "../db/job_attempts.ts";
import { isOutage } from "../db/pg_errors.ts";
import { storable } from "../db/storable.ts";
import { describeError } from "../log.ts";

type StopReason = "cancelled" | "timeout" | "lease lost" | "database away" | "shutdown";

/** The reason of a job's signal when it must stop. */
export class JobStoppedError extends Error {
  override name = "JobStoppedError";
  constructor(readonly why: StopReason) {
    super(`the job is stopped: ${why}`);
  }
}

/** How an attempt ended. */
export type Outcome =
  /** The job is done, which is stored. */
  | { readonly is: "completed" }
  | { readonly is: "threw"; readonly error: unknown }
  | { readonly is: "invalid_args"; readonly message: string }
  /** Not begun in quiet hours, which end in `endMs`. */
  | { readonly is: "quiet"; readonly endMs: number }
  | { readonly is: "stopped"; readonly why: StopReason };

/** The next state of its job. */
export type NextState = AttemptEnd | { readonly is: "finished" } | { readonly is: "lease_lost" };

const MAX_DELAY_S = 3_600;
const MAX_POSTPONED_S = 300;
const MAX_ERROR_CHARACTERS = 2_000;

/**
 * The next state of a job after an attempt. It is tried again after a delay that is doubled each time:
 * at most an hour, or five minutes after an outage of the database and while its arguments don't fit.
 *
 * @param attempt 1 for the first
 * @param jitter from 0 to 1: shortens the delay by up to half, so that common failures aren't retried
 * together
 * @param uncounted how many of its starts counted as no attempt until now
 */
export function nextState(
  outcome: Outcome,
  attempt: number,
  maxAttempts: number,
  jitter: number,
  uncounted = 0,
): NextState {
  const delayMs = (tries: number, maxS: number) =>
    Math.min(2 ** tries, maxS) * 1_000 * (0.5 + jitter / 2);
  const failed = (error: string): NextState => ({
    is: "failed",
    error,
    ...(attempt < maxAttempts && { retryInMs: delayMs(attempt, MAX_DELAY_S) }),
  });
  const postponed = (error: string): NextState => ({
    is: "postponed",
    error,
    retryInMs: delayMs(uncounted + 1, MAX_POSTPONED_S),
  });
  switch (outcome.is) {
    case "completed":
      return { is: "finished" };
    case "threw": {
      const { error } = outcome;
      const text = storable(
        error === undefined ? "undefined" : describeError(error),
        MAX_ERROR_CHARACTERS,
      );
      return isOutage(error) ? postponed(text) : failed(text);
    }
    case "invalid_args":
      // Another version may have queued it, whose workers run beside this one during an update. After
      // MAX_STARTS it is dead.
      return postponed(storable(outcome.message, MAX_ERROR_CHARACTERS));
    case "quiet":
      return { is: "deferred", retryInMs: outcome.endMs };
    case "stopped":
      break;
  }
  switch (outcome.why) {
    case "cancelled":
      return { is: "cancelled" };
    case "shutdown":
      return { is: "released" };
    case "lease lost":
      return { is: "lease_lost" };
    case "database away":
      return postponed("PostgreSQL was out of reach, or took no renewal, for as long as its lease");
    case "timeout":
      return failed("it took longer than its kind may take");
  }
}
