import { describeError, type Log } from "../log.ts";

/** Says of work that fails again and again that it does, in a few lines of the log. */
export interface Complaint {
  /** Gives how often it has failed since it last worked. */
  failed(error: unknown): number;
  /** Gives whether it was said that it failed. */
  worked(): boolean;
}

/** What fails and works in turns is told of once in this time, in ms. */
const QUIET_MS = 60_000;

/**
 * Logs `msg` at the first failure until the work succeeds again, and once a minute at most: what
 * fails half of the time would else be told of hundreds of times. A line says how many failures there
 * were since the last one.
 *
 * @param now gives the time in ms
 */
export function createComplaint(
  log: Log,
  msg: string,
  now: () => number = () => performance.now(),
): Complaint {
  let toldAt = -Infinity;
  let isTold = false;
  let inARow = 0;
  let untold = 0;
  return {
    failed(error) {
      inARow++;
      untold++;
      if (!isTold && now() - toldAt >= QUIET_MS) {
        log("warn", msg, { error: describeError(error), failures: untold });
        [isTold, toldAt, untold] = [true, now(), 0];
      }
      return inARow;
    },
    worked() {
      const wasTold = isTold;
      [isTold, inARow] = [false, 0];
      return wasTold;
    },
  };
}
