import type { Log } from "../../log.ts";
import type { Observer } from "../shadow/observer.ts";
import type { Departure } from "../exchange/departure.ts";
import type { DueDeps } from "./due_comparison.ts";
import type { GatewayServerLimits } from "./server_limits.ts";
import type { Operation } from "../exchange/operations.ts";
import type { Upstream } from "../exchange/route.ts";
import type { InFlight } from "./in_flight.ts";
import type { UpstreamPool } from "../upstream/upstream.ts";
import type { DecideDeps } from "./decide.ts";

/** What forwarding is made of; one for all requests. */
export interface ProxyDeps<Request> extends DecideDeps, DueDeps {
  readonly upstreams: Readonly<Record<Upstream, UpstreamPool>>;
  readonly observer: Observer;
  readonly log: Log;
  readonly limits: GatewayServerLimits;
  /** The requests whose bodies are still being gathered. */
  readonly headsInFlight: InFlight<Request>;
  /** The requests whose long bodies are being passed on. */
  readonly uploads: InFlight<Request>;
  /** A request is over. */
  readonly over: (request: Request) => void;
  /** A request is the last that is served on its connection. */
  readonly closes: (request: Request) => void;
  /** A client left before its answer was out. */
  readonly left: (operation: Operation | undefined, departure: Departure) => void;
  readonly isStopping: () => boolean;
}
