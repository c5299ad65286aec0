import type { CanaryBy } from "../config.ts";
import { freePort } from "../../dev/free_port.ts";
import type { Departure } from "../exchange/departure.ts";
import type { Observer } from "../shadow/shadow.ts";
import type { Finding } from "../evidence/evidence.ts";
import type { Observation } from "../exchange/exchange.ts";
import { type GatewayServer, startGatewayServer } from "../proxy/server.ts";
import { type GatewayServerLimits, serverLimits } from "../proxy/server_limits.ts";
import type { Operation } from "../exchange/operations.ts";
import type { Mode, Route, Upstream } from "../exchange/route.ts";
import type { LogFields } from "../../log.ts";
import { openRawClient } from "../../testing/raw_client.ts";
import {
  type RawResponse,
  type RawUpstream,
  startRawUpstream,
} from "../../testing/raw_upstream.ts";

/** The options of a test's gateway; the defaults are the usual ones. */
export interface TestGatewayServerOptions {
  /** Without it, the upstream is unavailable. */
  readonly legacyUrl?: string;
  readonly serviceUrl?: string;
  /** Of every route; `legacy` unless set. */
  readonly mode?: Mode;
  /** The same for a changing mode: the current one. */
  readonly modeNow?: () => Mode;
  readonly limits?: Partial<Omit<GatewayServerLimits, "upstream">>;
  readonly upstream?: Partial<GatewayServerLimits["upstream"]>;
  readonly trustedProxies?: readonly string[];
  /** Clients are distinguished by account and address unless set. */
  readonly canaryBy?: CanaryBy;
  /** Nothing is compared unless set. */
  readonly dryRun?: Observer["dryRun"];
  readonly compares?: boolean;
  /** Replaces the observer that only records. */
  readonly comparer?: Observer;
}

/** A request of a client that an upstream has answered. */
interface ServedRequest {
  readonly operation: Operation;
  readonly side: Upstream;
  readonly bucket: number;
}

/** A gateway in this process, and what its observers received. */
export interface TestGatewayServer extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly server: GatewayServer;
  /** `operation upstream status`, in the order of the notifications. */
  readonly answered: string[];
  /** Requests of clients, on routes that count them. */
  readonly served: ServedRequest[];
  readonly found: Finding[];
  /** `operation what`. */
  readonly covered: string[];
  /** `method target status` of requests that match no operation. */
  readonly unknown: string[];
  readonly observed: Observation[];
  /** The departures of requests whose clients left before their responses. */
  readonly departures: Departure[];
  /** `operation status`, or `cut` or `left`, of each request that is over. */
  readonly ended: string[];
  /** Its log lines. */
  readonly lines: LogFields[];
}

/** Starts a gateway on a free port; its timeouts are short enough to wait for. */
export async function startTestGatewayServer(
  options: TestGatewayServerOptions = {},
): Promise<TestGatewayServer> {
  const answered: string[] = [];
  const served: ServedRequest[] = [];
  const found: Finding[] = [];
  const covered: string[] = [];
  const unknown: string[] = [];
  const observed: Observation[] = [];
  const departures: Departure[] = [];
  const ended: string[] = [];
  const lines: LogFields[] = [];
  const usual = serverLimits({ bodyBytes: 1_048_576, responseTimeoutMs: 5_000 });
  const { mode = { name: "legacy" }, modeNow = () => mode } = options;
  // As in service: a change of the mode is a new epoch.
  let epoch = 1;
  let last = modeNow();
  const routeOf = (operation: Operation): Route => {
    const now = modeNow();
    if (now !== last) epoch++;
    last = now;
    return { operation, mode: now, epoch, samplePercent: 100, latch: undefined };
  };
  const nobody = () => `http://127.0.0.1:${freePort()}`;
  const server = await startGatewayServer({
    hostname: "127.0.0.1",
    port: 0,
    legacyUrl: options.legacyUrl ?? nobody(),
    serviceUrl: options.serviceUrl ?? nobody(),
    trustedProxies: options.trustedProxies ?? [],
    limits: {
      ...usual,
      sweepMs: 20,
      ...options.limits,
      upstream: { ...usual.upstream, ...options.upstream },
    },
    routeOf,
    canaryBy: options.canaryBy ?? "client",
    evidence: {
      served: (operation, _route, upstream, bucket) =>
        served.push({ operation, side: upstream, bucket }),
      responded: (operation, _route, upstream, status) =>
        answered.push(`${operation} ${upstream} ${status}`),
      found: (finding) => found.push(finding),
      covered: (operation, _route, what) => covered.push(`${operation} ${what}`),
      unknown: (method, target, status) => unknown.push(`${method} ${target} ${status}`),
    },
    observer: options.comparer ?? {
      wants: () => options.compares ?? options.dryRun !== undefined,
      dryRun: options.dryRun ?? (() => Promise.resolve({ failure: "refused", ms: 0 })),
      observe: (observation) => observed.push(observation),
    },
    onDeparture: (_operation, departure) => departures.push(departure),
    onEnd: (operation, end) => ended.push(`${operation ?? "unknown"} ${end}`),
    log: (_level, _event, fields = {}) => lines.push(fields),
  });
  return {
    port: server.port,
    url: `http://127.0.0.1:${server.port}`,
    server,
    answered,
    served,
    found,
    covered,
    unknown,
    observed,
    departures,
    ended,
    lines,
    [Symbol.asyncDispose]: async () => {
      await server.close(0);
    },
  };
}

/** A gateway before one server, the old one. */
interface GatewayServerPair extends AsyncDisposable {
  readonly upstream: RawUpstream;
  readonly server: TestGatewayServer;
}

/** Starts a gateway before a server with this handler. */
export async function startPair(
  response: string | RawResponse,
  options: TestGatewayServerOptions = {},
): Promise<GatewayServerPair> {
  const upstream = await startRawUpstream(response);
  const server = await startTestGatewayServer({ legacyUrl: upstream.url, ...options });
  return {
    upstream,
    server,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

/** Sends bytes and returns all that comes until the connection ends, or until it matches. */
export async function exchange(
  { port }: TestGatewayServer,
  request: string,
  fits?: (received: string) => boolean,
): Promise<string> {
  using client = openRawClient(port, request);
  return fits === undefined ? await client.ended : await client.until(fits);
}
