import type { Operation } from "./operations.ts";

/** A server behind the gateway: the old server, or Lotline. */
export type Upstream = "legacy" | "service";

/** Which upstream gets the requests of an operation. */
export type Mode =
  /** The old server responds, and nothing is compared. */
  | { readonly name: "legacy" }
  /** The old server responds; Lotline's response is compared. */
  | { readonly name: "shadow" }
  /** Lotline responds to this share of the clients, from 1 to 99 in %; responses are compared. */
  | { readonly name: "canary"; readonly percent: number }
  /** Lotline responds; the old server's response is compared where the request is safe. */
  | { readonly name: "service" };

/** The state of one operation's traffic. */
export interface Route {
  readonly operation: Operation;
  readonly mode: Mode;
  /** Rises with every change of the mode: evidence counts for one epoch only. */
  readonly epoch: number;
  /** The share of requests that is compared, from 0 to 100 in %. */
  readonly samplePercent: number;
  /** The reason of an automatic rollback; the route stays on `legacy` until a person clears it. */
  readonly latch: string | undefined;
}
