import type { Log, LogEvent } from "../log.ts";
import { delay } from "../timing.ts";
import { createFailureLog } from "./failure_log.ts";

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
