import type { ReadClient } from "../../client_address.ts";
import type { Log } from "../../log.ts";
import type { CanaryBy } from "../config.ts";
import type { RequestEnd } from "../evidence/traffic_metrics.ts";
import type { Evidence } from "../evidence/evidence.ts";
import type { ByteBudget } from "../exchange/body_capture.ts";
import type { Departure } from "../exchange/departure.ts";
import type { Operation } from "../exchange/operations.ts";
import type { Route, Upstream } from "../exchange/route.ts";
import type { Observer } from "../shadow/shadow.ts";
import type { UpstreamPool } from "../upstream/upstream.ts";
import type { InFlight } from "./in_flight.ts";
import type { GatewayServerLimits } from "./server_limits.ts";

export interface ProxyOptions {
  /** Called for every request, so it reads only memory. */
  readonly routeOf: (operation: Operation) => Route;
  readonly canaryBy: CanaryBy;
  readonly limits: GatewayServerLimits;
  readonly evidence: Evidence;
  readonly observer: Observer;
  /** Called for each client that disconnected before its response was sent. */
  readonly onDeparture: (operation: Operation | undefined, departure: Departure) => void;
  /**
   * Called for each request of a client that is over, also one that was refused.
   *
   * @param operation undefined: the contract has no such operation, or the head was not read
   * @param ms since its head
   */
  readonly onEnd: (operation: Operation | undefined, end: RequestEnd, ms: number) => void;
  readonly log: Log;
}

/** What proxied requests depend on; shared by all of them. */
export interface ProxyDeps<Request> extends ProxyOptions {
  readonly upstreams: Readonly<Record<Upstream, UpstreamPool>>;
  readonly readClient: ReadClient;
  /** For the long bodies of exchanges that are compared. */
  readonly comparedBytes: ByteBudget;
  /** Requests whose bodies are arriving and that no upstream has yet. */
  readonly headsInFlight: InFlight<Request>;
  /** Requests whose long bodies are forwarded as they arrive. */
  readonly uploads: InFlight<Request>;
  readonly onFinish: (request: Request) => void;
  /** The request is the last one on its connection. */
  readonly onLastRequest: (request: Request) => void;
  readonly isStopping: () => boolean;
}
