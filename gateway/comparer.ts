import type { Asked, CapturedRequest, Observation } from "./exchange.ts";
import type { OldOperation } from "./operations.ts";
import type { Route } from "./route.ts";

/** What compares the two sides, as far as forwarding knows it. Nothing here throws. */
export interface Comparer {
  /** Whether this request is to be compared, by its route's share. */
  wants(operation: OldOperation, route: Route): boolean;
  /** Asks Lotline what it would answer to a write, without effect; within 300 ms. */
  dryRun(request: CapturedRequest, operation: OldOperation, route: Route): Promise<Asked>;
  /** Compares in the background. */
  observe(observation: Observation): void;
}
