import type { Log, LogEvent } from "../log.ts";
import { delay } from "../timing.ts";
import { createFailureLog } from "./failure_log.ts";

const AFTER_FAILURE_MS = 500;

/**
 * Does something again and again until the signal is aborted; never rejects. When it fails, that is
 * logged as `failureEvent`, once until it works again, and once a minute at most.
 *
 * @param work gives how many ms to wait before it is done again
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
      failure.worked();
    } catch (error) {
      failure.failed(error);
    }
    await wait(waitMs);
  }
}
