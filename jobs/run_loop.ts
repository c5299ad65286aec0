import { describeError, limitRepeats, type Log, type LogEvent } from "../log.ts";
import { delay } from "../timing.ts";

const AFTER_FAILURE_MS = 500;

/**
 * Repeats some work until the signal is aborted; never rejects. A failure is logged as `failureEvent`,
 * at most once a minute.
 *
 * @param work returns the pause before the next time, in ms
 */
export async function runLoop(
  failureEvent: LogEvent,
  work: () => Promise<number>,
  { signal, log, wait = (ms) => delay(ms, signal) }: {
    readonly signal: AbortSignal;
    readonly log: Log;
    readonly wait?: (ms: number) => Promise<void>;
  },
): Promise<void> {
  const failure = createFailureLog(log, failureEvent);
  while (!signal.aborted) {
    let waitMs = AFTER_FAILURE_MS;
    try {
      waitMs = await work();
      failure.succeeded();
    } catch (error) {
      failure.failed(error);
    }
    await wait(waitMs);
  }
}

/** Logs `event` when some repeated work fails, at most once a minute. */
export function createFailureLog(log: Log, event: LogEvent, now?: () => number) {
  const logLimited = limitRepeats(log, now);
  let isLogged = false;
  let failuresInARow = 0;
  return {
    /** Returns how often it has failed since it last succeeded. */
    failed(error: unknown): number {
      isLogged = logLimited("failure", "warn", event, { error: describeError(error) }) || isLogged;
      return ++failuresInARow;
    },
    /** Returns whether a failure was logged since it last succeeded. */
    succeeded(): boolean {
      const wasLogged = isLogged;
      [isLogged, failuresInARow] = [false, 0];
      return wasLogged;
    },
  };
}
