import type { Note } from "./note.ts";
import type { Mode } from "../exchange/route.ts";
import { describeMode, isPossible, type StoredRoute } from "./routing.ts";

/**
 * Why a route isn't changed. `not_comparable`: the old server doesn't know the operation.
 * `changed_meanwhile`: it isn't any more what the one who changes it has seen. `broken`: nobody can
 * tell what it is now.
 */
export type RefusalCode =
  | "not_comparable"
  | "changed_meanwhile"
  | "broken"
  | "latched"
  | "killed";

/** A route is not changed; the message is a sentence that says why. */
export class RouteRefusedError extends Error {
  override name = "RouteRefusedError";
  constructor(readonly code: RefusalCode, message: string) {
    super(message);
  }
}

/** What a change of a route's mode depends on. */
export interface Standing {
  readonly route: StoredRoute;
  /** Who has put all routes on `legacy`, if that is so. */
  readonly killed: Note | undefined;
  /** The epoch that the one who changes it has seen, if that matters. */
  readonly expectedEpoch?: number | undefined;
}

/** Why a route may not get this mode, unless it may. */
export function refusalOf(standing: Standing, mode: Mode): RouteRefusedError | undefined {
  const { route, killed, expectedEpoch } = standing;
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
  // Back to the old server there is always a way.
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

/** Somebody else was faster. */
export function changedMeanwhile({ operation, mode }: StoredRoute): RouteRefusedError {
  return new RouteRefusedError(
    "changed_meanwhile",
    `${operation} was changed by somebody else meanwhile (it is on ${describeMode(mode)}): ` +
      `look at it again`,
  );
}
