import type { Operation } from "./operations.ts";

/** Who answers: the old server, or Lotline. */
export type Upstream = "legacy" | "service";

/** How the requests of one operation are dealt with. */
export type Mode =
  /** The old server answers; Lotline isn't asked. */
  | { readonly name: "legacy" }
  /** The old server answers; Lotline is asked as well, and compared. */
  | { readonly name: "shadow" }
  /** Lotline answers this share of the clients, from 1 to 99 in %; both are compared. */
  | { readonly name: "canary"; readonly percent: number }
  /** Lotline answers; the old server is asked as well where that has no effect. */
  | { readonly name: "service" };

/** The state of one operation's traffic. */
export interface Route {
  readonly operation: Operation;
  readonly mode: Mode;
  /** Goes up with every change of the mode: evidence counts for the epoch it was gathered in. */
  readonly epoch: number;
  /** How many of 100 requests are compared, from 0 to 100. */
  readonly samplePercent: number;
  /** Why the route was rolled back by itself; nothing moves it before a person clears this. */
  readonly latch: string | undefined;
}
