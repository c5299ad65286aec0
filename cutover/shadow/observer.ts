import type { Recorder } from "../record/recorder.ts";
import type { CapturedRequest, Exchange, Observation } from "../exchange/exchange.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import type { Route } from "../exchange/route.ts";

/** Observes exchanges with clients. Nothing here throws. */
export interface Observer {
  /** Whether this request's exchange is to be observed; comparing depends on the route's sample. */
  wants(operation: LegacyOperation, route: Route): boolean;
  /** Sends a write to Lotline as a dry run, which has no effect; within 300 ms. */
  dryRun(request: CapturedRequest, operation: LegacyOperation, route: Route): Promise<Exchange>;
  observe(observation: Observation): void;
}

/** Passes exchanges to the recorder, and those of compared routes to the shadow. */
export function compareAndRecord(
  shadow: Observer,
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
