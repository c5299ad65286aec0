import type { Note } from "./note.ts";
import type { Mode } from "../exchange/route.ts";
import { describeMode, isPossible, type StoredRoute } from "./routing.ts";

/**
 * Why a route isn't changed. `not_comparable`: the old server doesn't know the operation.
 * `changed_meanwhile`: it has changed since it was read. `broken`: its row can't be read.
 */
export type RefusalCode = "not_comparable" | "changed_meanwhile" | "broken" | "latched" | "killed";

/** A change of a route that was refused; the message says why. */
export class RouteRefusedError extends Error {
  override name = "RouteRefusedError";
  constructor(readonly code: RefusalCode, message: string) {
    super(message);
  }
}

export interface RouteState {
  readonly route: StoredRoute;
  /** Set while the kill switch is on. */
  readonly killed: Note | undefined;
  /** The epoch on which the change is based; undefined: any. */
  readonly expectedEpoch?: number | undefined;
}

/** Why a route may not have this mode; undefined: it may. */
export function refusalOf(state: RouteState, mode: Mode): RouteRefusedError | undefined {
  const { route, killed, expectedEpoch } = state;
  const { operation } = route;
  if (!isPossible(operation, mode)) {
    return new RouteRefusedError(
      "not_comparable",
      `${operation} is not in the old API: it can be on legacy or service, not ${mode.name}`,
    );
  }
  if (expectedEpoch !== undefined && expectedEpoch !== route.epoch) {
    return changedMeanwhile(route);
  }
  // A return to the old server is always possible.
  if (mode.name === "legacy") return undefined;
  if (route.latch !== undefined) {
    return new RouteRefusedError(
      "latched",
      `${operation} was rolled back and is held until somebody clears it: ${route.latch}`,
    );
  }
  if (killed !== undefined) {
    return new RouteRefusedError(
      "killed",
      `The kill switch is on (${killed.who}: ${killed.why}): until it is released, a route can ` +
        `only be set to legacy`,
    );
  }
  return undefined;
}

export function changedMeanwhile({ operation, mode }: StoredRoute): RouteRefusedError {
  return new RouteRefusedError(
    "changed_meanwhile",
    `${operation} was changed by somebody else meanwhile (it is on ${describeMode(mode)}): ` +
      `check it again`,
  );
}
