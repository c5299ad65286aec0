import type { Log } from "../../log.ts";
import type { Observer } from "../shadow/observer.ts";
import type { Departure } from "../exchange/departure.ts";
import type { DueDeps } from "./due_comparison.ts";
import type { Operation } from "../exchange/operations.ts";
import type { Upstream } from "../exchange/route.ts";
import type { InFlight } from "./in_flight.ts";
import type { UpstreamPool } from "../upstream/upstream.ts";
import type { DecideDeps } from "./decide.ts";

/** What proxied requests depend on; shared by all of them. */
export interface ProxyDeps<Request> extends DecideDeps, DueDeps {
  readonly upstreams: Readonly<Record<Upstream, UpstreamPool>>;
  readonly observer: Observer;
  readonly log: Log;
  /** Requests whose bodies are arriving and that no upstream has yet. */
  readonly headsInFlight: InFlight<Request>;
  /** Requests whose long bodies are forwarded as they arrive. */
  readonly uploads: InFlight<Request>;
  readonly onFinish: (request: Request) => void;
  /** The request is the last one on its connection. */
  readonly onLastRequest: (request: Request) => void;
  /** Called for each client that disconnected before its response was sent. */
  readonly onDeparture: (operation: Operation | undefined, departure: Departure) => void;
  readonly isStopping: () => boolean;
}
