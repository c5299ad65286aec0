import type { Recorder } from "../record/recorder.ts";
import type { CapturedRequest, Exchange, Observation } from "../exchange/exchange.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import type { Route } from "../exchange/route.ts";
import type { Shadow } from "./shadow.ts";

/** Who wants to see exchanges with clients, as far as forwarding knows them. Nothing here throws. */
export interface Observer {
  /** Whether somebody wants to see this request's exchange, to compare it by its route's share. */
  wants(operation: LegacyOperation, route: Route): boolean;
  /** Asks Lotline what it would answer to a write, without effect; within 300 ms. */
  dryRun(request: CapturedRequest, operation: LegacyOperation, route: Route): Promise<Exchange>;
  /** Deals with it in the background. */
  observe(observation: Observation): void;
}

/**
 * Hands exchanges to the shadow, and to the recorder, who takes them on routes that nobody compares,
 * too.
 */
export function compareAndRecord(
  shadow: Pick<Shadow, "wants" | "dryRun" | "observe">,
  recorder: Pick<Recorder, "wants" | "offer">,
): Observer {
  return {
    wants: (operation, route) =>
      route.mode.name === "legacy"
        ? recorder.wants(operation, "legacy")
        : shadow.wants(operation, route),
    dryRun: (request, operation, route) => shadow.dryRun(request, operation, route),
    observe(observation) {
      recorder.offer(observation);
      if (observation.route.mode.name !== "legacy") shadow.observe(observation);
    },
  };
}
