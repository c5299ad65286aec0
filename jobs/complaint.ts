import { describeError, limitRepeats, type Log, type LogEvent } from "../log.ts";

/** Says of work that fails again and again that it does, once a minute at most. */
export interface Complaint {
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
export function createComplaint(log: Log, event: LogEvent, now?: () => number): Complaint {
  const say = limitRepeats(log, now);
  let isTold = false;
  let inARow = 0;
  return {
    failed(error) {
      isTold = say("failure", "warn", event, { error: describeError(error) }) || isTold;
      return ++inARow;
    },
    worked() {
      const wasTold = isTold;
      [isTold, inARow] = [false, 0];
      return wasTold;
    },
  };
}
