import type { Log } from "../../log.ts";
import type { Comparer } from "../shadow/observer.ts";
import type { Departure } from "../exchange/departure.ts";
import type { DueDeps } from "./due_comparison.ts";
import type { FrontLimits } from "./server_limits.ts";
import type { Operation } from "../exchange/operations.ts";
import type { Side } from "../exchange/route.ts";
import type { UnderWay } from "./in_flight.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { WayDeps } from "./decide.ts";

/** What forwarding is made of; one for all requests. */
export interface ForwardingDeps<Request> extends WayDeps, DueDeps {
  readonly sides: Readonly<Record<Side, Upstream>>;
  readonly comparer: Comparer;
  readonly log: Log;
  readonly limits: FrontLimits;
  /** The requests whose bodies are still being gathered. */
  readonly gathering: UnderWay<Request>;
  /** The requests whose long bodies are being passed on. */
  readonly uploads: UnderWay<Request>;
  /** A request is over. */
  readonly over: (request: Request) => void;
  /** A request is the last that is served on its connection. */
  readonly closes: (request: Request) => void;
  /** A client left before its answer was out. */
  readonly left: (operation: Operation | undefined, departure: Departure) => void;
  readonly isStopping: () => boolean;
}
