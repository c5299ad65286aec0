import { limitRepeats, type Log } from "../../log.ts";
import type { Operation } from "./operations.ts";

/**
 * What became of the request of a client that left before its answer was out. `carried_out`: a write
 * that had come whole; it goes on as if the client were there. `given_up`: a request without effect, or
 * an answer of which only the rest was to be taken. `incomplete`: the request hadn't come whole, and
 * nobody carries it out. `half_closed`: the client had ended its side and was answered; whether it was
 * there to read that can't be known.
 */
export type Departure = "carried_out" | "given_up" | "incomplete" | "half_closed";

/** What decides about a request whose client's connection is closed. */
export interface Abandoned {
  /** All of it has come. */
  readonly isWhole: boolean;
  /** Whether it is carried out though its client has left. */
  readonly outlivesClient: boolean;
}

/** What becomes of a request whose client's connection is closed. */
export function departureOf({ isWhole, outlivesClient }: Abandoned): Departure {
  if (!isWhole) return "incomplete";
  return outlivesClient ? "carried_out" : "given_up";
}

/** A log of such clients, a line a minute for each departure; each request's own line has it, too. */
export function createDepartureLog(
  log: Log,
): (operation: Operation | undefined, departure: Departure) => void {
  const logRarely = limitRepeats(log);
  return (operation, departure) => {
    // Only here does an effect have a client that doesn't know of it.
    const level = departure === "carried_out" ? "warn" : "info";
    logRarely(departure, level, "client_left", {
      outcome: departure,
      operation: operation ?? "unknown",
    });
  };
}
