import { limitRepeats, type Log } from "../../log.ts";
import type { Operation } from "./operations.ts";

/**
 * What happened to the request of a client that disconnected before its response was sent.
 * `carried_out`: a complete write, which runs to its end. `given_up`: a request without effect.
 * `incomplete`: the request had not arrived completely, and no upstream executes it. `half_closed`: the
 * client had closed its sending half and was sent its response; whether it read that is unknown.
 */
export type Departure = "carried_out" | "given_up" | "incomplete" | "half_closed";

export function departureOf(
  { isComplete, outlivesClient }: { isComplete: boolean; outlivesClient: boolean },
): Departure {
  if (!isComplete) return "incomplete";
  return outlivesClient ? "carried_out" : "given_up";
}

/** Logs departures, at most one line a minute for each kind. */
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
