import { describeError, limitRepeats, type Log, type LogEvent } from "../log.ts";

/** Says of work that fails again and again that it does, once a minute at most. */
export interface FailureLog {
  /** Gives how often it has failed since it last worked. */
  failed(error: unknown): number;
  /** Gives whether it was said that it failed. */
  worked(): boolean;
}

/**
 * Logs `event` when the work fails, in one line a minute; see {@link limitRepeats}.
 *
 * @param now gives the time in ms
 */
export function createFailureLog(log: Log, event: LogEvent, now?: () => number): FailureLog {
  const logLimited = limitRepeats(log, now);
  let isLogged = false;
  let failuresInARow = 0;
  return {
    failed(error) {
      isLogged = logLimited("failure", "warn", event, { error: describeError(error) }) || isLogged;
      return ++failuresInARow;
    },
    worked() {
      const wasLogged = isLogged;
      [isLogged, failuresInARow] = [false, 0];
      return wasLogged;
    },
  };
}
