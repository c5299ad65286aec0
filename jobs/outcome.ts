import { describeError } from "../log.ts";
import type { Effect } from "./define_job.ts";

/** Why a running job is stopped before it is through. */
export type StopReason = "cancelled" | "timeout" | "lease lost" | "shutdown";

/** What a job is told, as the reason of its signal, when it is to stop. */
export class JobStoppedError extends Error {
  override name = "JobStoppedError";
  constructor(readonly why: StopReason) {
    super(`the job is stopped: ${why}`);
  }
}

/** How an attempt ended. */
export type Outcome =
  | { readonly is: "returned"; readonly effect: Effect | void }
  | { readonly is: "threw"; readonly error: unknown }
  | { readonly is: "unfit"; readonly message: string }
  | { readonly is: "stopped"; readonly why: StopReason };

/** What becomes of its job. Without `retryInMs` a failed job is dead. */
export type Fate =
  | { readonly is: "finished" }
  | { readonly is: "failed"; readonly error: string; readonly retryInMs?: number }
  | { readonly is: "cancelled" }
  | { readonly is: "released" }
  | { readonly is: "someone else's" };

const LONGEST_WAIT_S = 3_600;
const LONGEST_ERROR = 2_000;

/**
 * How long until a job that has failed is tried again, in ms: twice as long each time, up to an hour,
 * and up to half of it less, so that what failed together isn't tried together. Nothing: never.
 *
 * @param attempt 1 for the first
 * @param jitter from 0 to 1
 */
export function nextAttempt(
  attempt: number,
  maxAttempts: number,
  jitter: number,
): number | undefined {
  if (attempt >= maxAttempts) return undefined;
  return Math.min(2 ** attempt, LONGEST_WAIT_S) * 1_000 * (0.5 + jitter / 2);
}

/** What becomes of a job after an attempt; see {@link nextAttempt} for the numbers. */
export function becomes(
  outcome: Outcome,
  attempt: number,
  maxAttempts: number,
  jitter: number,
): Fate {
  const failed = (error: string): Fate => {
    const retryInMs = nextAttempt(attempt, maxAttempts, jitter);
    return { is: "failed", error, ...(retryInMs !== undefined && { retryInMs }) };
  };
  switch (outcome.is) {
    case "returned":
      return { is: "finished" };
    case "threw":
      return failed(
        storable(outcome.error === undefined ? "undefined" : describeError(outcome.error)),
      );
    case "unfit":
      // The next attempt would find the same.
      return { is: "failed", error: storable(outcome.message) };
    case "stopped":
      return becomesStopped(outcome.why, failed);
  }
}

function becomesStopped(why: StopReason, failed: (error: string) => Fate): Fate {
  switch (why) {
    case "cancelled":
      return { is: "cancelled" };
    case "shutdown":
      return { is: "released" };
    case "lease lost":
      return { is: "someone else's" };
    case "timeout":
      return failed("it took longer than its kind may take");
  }
}

/** A text as PostgreSQL takes it, and not longer than somebody would read. */
function storable(text: string): string {
  const whole = text.replaceAll("\0", "?");
  const cut = whole.length <= LONGEST_ERROR ? whole : `${whole.slice(0, LONGEST_ERROR - 1)}…`;
  return cut.toWellFormed();
}
