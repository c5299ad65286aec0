import { describeError, limitRepeats, type Log, type LogEvent } from "../log.ts";

interface FailureLog {
  /** Returns how often it has failed since it last succeeded. */
  failed(error: unknown): number;
  /** Returns whether a failure was logged since it last succeeded. */
  succeeded(): boolean;
}

/** Logs `event` when some repeated work fails, at most once a minute. */
export function createFailureLog(log: Log, event: LogEvent, now?: () => number): FailureLog {
  const logLimited = limitRepeats(log, now);
  let isLogged = false;
  let failuresInARow = 0;
  return {
    failed(error) {
      isLogged = logLimited("failure", "warn", event, { error: describeError(error) }) || isLogged;
      return ++failuresInARow;
    },
    succeeded() {
      const wasLogged = isLogged;
      [isLogged, failuresInARow] = [false, 0];
      return wasLogged;
    },
  };
}
