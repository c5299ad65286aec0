import type { OperationId } from "../auth/access.ts";
import { BadTokenError, type Guard } from "../auth/guard.ts";
import { ApiError, type ErrorCode, toApiError } from "../errors.ts";
import { describeError, type Log, type LogFields } from "../log.ts";
import { PoolBusyError } from "../db/lanes.ts";
import { isRefusalReason, type Metrics, type TokenFault } from "../metrics.ts";
import { CLIENT_LEFT, type ShedReason } from "../telemetry/request_metrics.ts";
import { delay } from "../timing.ts";
import { errorResponse } from "./response.ts";
import { describeRequestSpan, isTracing } from "../telemetry/tracing.ts";
import { type BodyLimits, readBody } from "./body.ts";
import type { ReadClient } from "../client_address.ts";
import { allowOrigin, type CorsPolicy, exposeHeaders, preflight } from "./cors.ts";
import { type App, type Effects, RequestState } from "./operation.ts";
import { allowHeader, type FoundPath, queryOf } from "./paths.ts";
import { ClosingConnections } from "./closing_connections.ts";
import { checkHead, refusedConnection } from "./request_head.ts";
import { setSecurityHeaders } from "./security_headers.ts";

export interface Limits extends BodyLimits {
  /** The most traces at once, and the most other requests; more get 503. */
  readonly inFlight: number;
}

export interface PipelineDeps {
  readonly app: App;
  readonly guard: Guard;
  readonly cors: CorsPolicy;
  readonly readClient: ReadClient;
  readonly limits: Limits;
  /** Aborted when the process is about to end. */
  readonly stopping: AbortSignal;
  readonly effects: Effects;
  /** The first of them is the outermost. */
  readonly steps?: readonly Step[];
  /** Whether the database is known to lack migrations. */
  readonly isSchemaBehind: () => boolean;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** Returns the response, also for errors. Never throws. */
export type Respond = (request: Request, state: RequestState) => Promise<Response>;

/**
 * An optional step of the pipeline. It calls `next`, or throws the request's error. It may change
 * the state before that, and the response after it.
 */
export type Step = (request: Request, state: RequestState, next: Respond) => Promise<Response>;

/** `peer` and `port` are the client's end of the connection. */
export type Serve = (request: Request, peer: string, port?: number) => Promise<Response>;

/**
 * Refused logins get late responses: a program that guesses passwords one after the other then tries
 * one a second per connection, at next to no cost.
 */
const DELAYED_REFUSALS: ReadonlySet<ErrorCode> = new Set(["too_many_tries", "too_many_logins"]);
const REFUSAL_DELAY_MS = 1_000;
/** Some kB each; further refusals are sent at once. */
const MAX_DELAYED = 10_000;

/** A look at the process finds it, however many requests it has. */
const NEVER_SHED: ReadonlySet<OperationId | undefined> = new Set<OperationId>([
  "getHealth",
  "getLiveness",
  "getReadiness",
  "getMetrics",
]);
const isNeverShed = ({ operation }: RequestState) => NEVER_SHED.has(operation);
/** Between two lines of the log about refused requests, in ms. */
const SHED_LINE_EVERY_MS = 10_000;

const NOTHING_HERE = "There is nothing at this path: /openapi.yaml lists all paths";
/** The statuses of a client that is refused for who it is, or for how often it comes. */
const SHUT_OUT: ReadonlySet<number> = new Set([401, 403, 429]);

/** The path of a request that matches none. */
const NOWHERE: FoundPath<OperationId> = { template: "unknown", parameters: {}, methods: new Map() };

/**
 * All that happens before and after a route: request id, path and method, access, CORS, a bound on
 * concurrent requests, errors as JSON, one log line.
 */
export function createRequestPipeline(
  {
    app,
    guard,
    cors,
    readClient,
    limits,
    stopping,
    effects,
    steps = [],
    isSchemaBehind,
    metrics,
    log,
  }: PipelineDeps,
): Serve {
  let inFlight = 0;
  let traces = 0;
  metrics.requests.watchInFlight(() => inFlight);
  let delayed = 0;
  const shed = countShed(metrics, log);
  const closing = new ClosingConnections();
  const respondThroughSteps = steps.reduceRight<Respond>(
    (next, step) => (request, state) => step(request, state, next),
    (request, state) => respond(request, state).catch((thrown) => refuse(thrown, state)),
  );

  return async (request, peer, port) => {
    const started = performance.now();
    const requestId = idOf(request);
    const client = readClient(request, peer);
    const path = app.findPath(request) ?? NOWHERE;
    const state = new RequestState(request.method, path, client.address, effects, requestId);
    let response: Response;
    const isTrace = state.operation === "getTraceability";
    inFlight++;
    if (isTrace) traces++;
    try {
      if (closing.isClosing(peer, port)) throw refusedConnection();
      if ((isTrace ? traces : inFlight - traces) > limits.inFlight && !isNeverShed(state)) {
        shed("in_flight");
        throw new ApiError("overloaded", "Too busy, try again soon");
      }
      response = await respondThroughSteps(request, state);
    } catch (thrown) {
      response = refuse(thrown, state);
    } finally {
      inFlight--;
      if (isTrace) traces--;
    }
    const { refused } = state;
    if (refused?.headers.connection === "close" && port !== undefined) closing.close(peer, port);
    // The wait does not count against the concurrent requests.
    if (
      refused && state.effects.holdsBack && DELAYED_REFUSALS.has(refused.code) &&
      delayed < MAX_DELAYED
    ) {
      delayed++;
      await delay(REFUSAL_DELAY_MS);
      delayed--;
    }
    const { headers, status } = response;
    if (refused === undefined) {
      for (const name in state.responseHeaders) {
        headers.set(name, state.responseHeaders[name] ?? "");
      }
    }
    const origin = request.headers.get("origin");
    const deprecation = state.operation && app.deprecationHeaders.get(state.operation);
    for (const name in deprecation) headers.set(name, deprecation[name] ?? "");
    allowOrigin(headers, cors, origin);
    if (request.method !== "OPTIONS") exposeHeaders(headers, origin);
    setSecurityHeaders(headers, client.secure);
    headers.set("x-request-id", requestId);
    // A proxy then sends its next request on another connection, and finds another process.
    if (stopping.aborted) headers.set("connection", "close");
    const ms = performance.now() - started;
    const outcome = refused?.code === "client_gone" ? CLIENT_LEFT : status;
    metrics.requests.responded(state.operation, outcome, ms);
    const tokenFault = refusedTokenFault(state);
    count(state, tokenFault);
    log(status >= 500 ? "error" : "info", "request", {
      method: request.method.slice(0, 20),
      // The template, not the path: a client's path may contain anything.
      route: path.template,
      status,
      ms: Math.round(ms * 10) / 10,
      request_id: requestId,
      ...state.logged,
      required_would_refuse: state.wouldRefuse,
      ...deprecation && { deprecated: true, user_id: state.caller?.sub },
      ...refused && SHUT_OUT.has(status) && {
        refused: refused.code,
        user_id: refused.account ?? state.caller?.sub ?? state.signingIn,
      },
      bad_token: tokenFault,
      problem: refused?.problem,
      error: refused && status >= 500 ? describeError(refused.cause ?? refused) : undefined,
    });
    if (isTracing) describeSpan(request.method, state, requestId);
    return response;
  };

  async function respond(request: Request, state: RequestState): Promise<Response> {
    checkHead(request.headers);
    if (request.method === "OPTIONS") return preflight(request, cors);
    // What follows on the connection is meant for another server.
    if (request.method === "CONNECT") {
      throw new ApiError("path_not_found", "This is no proxy for CONNECT", {
        headers: { connection: "close" },
      });
    }
    if (state.path === NOWHERE) {
      // The old server read the body before it matched the path: a malformed body was a 400 on any
      // path.
      await readBody(request, limits, "lenient");
      throw new ApiError("path_not_found", NOTHING_HERE);
    }
    if (state.operation === undefined) {
      const allow = allowHeader(state.path.methods.keys());
      throw new ApiError("method_not_allowed", `This path answers ${allow}`, {
        headers: { allow },
      });
    }
    Object.assign(state, await guard(state.operation, request.headers));
    // The route sees HEAD as GET: Hono would drop the body, and with it the length that HEAD must
    // send. A new request, since a copy would keep the abort signal of the first alive; its path
    // has been matched already.
    state.isHead = request.method === "HEAD";
    const unwrapped = state.isHead
      ? new Request(`http://localhost/${queryOf(request.url)}`, { headers: request.headers })
      : request;
    return await app.router.fetch(unwrapped, state);
  }

  function refuse(thrown: unknown, state: RequestState): Response {
    const refused = state.refused = toApiError(thrown, isSchemaBehind());
    const { cause } = refused;
    if (cause instanceof PoolBusyError) shed(cause.lane);
    return errorResponse(refused);
  }

  function count(
    { operation, refused, wouldRefuse }: RequestState,
    tokenFault: TokenFault | undefined,
  ): void {
    if (operation === undefined) return;
    if (app.deprecationHeaders.has(operation)) metrics.deprecated(operation);
    if (tokenFault !== undefined) metrics.badToken(operation, tokenFault);
    if (wouldRefuse !== undefined) metrics.requiredWouldRefuse(operation, wouldRefuse);
    if (refused !== undefined && isRefusalReason(refused.code)) {
      metrics.refused(operation, refused.code);
    }
  }
}

/** Counts refused requests; the log has a line about them at most every ten seconds. */
function countShed({ requests }: Metrics, log: Log): (reason: ShedReason) => void {
  let count = 0;
  let loggedAt = -Infinity;
  return (reason) => {
    requests.shed(reason);
    count++;
    const now = performance.now();
    if (now - loggedAt < SHED_LINE_EVERY_MS) return;
    log("warn", "requests_shed", { count, reason });
    count = 0;
    loggedAt = now;
  };
}

/** The gateway ends the ids of the requests that it sends to compare so. */
const SHADOW = "-shadow";

/** Of the path its template only, as in the log. */
function describeSpan(
  method: string,
  { path, operation, logged }: RequestState,
  requestId: string,
): void {
  describeRequestSpan(`${path.methods.has(method) ? method : "HTTP"} ${path.template}`, {
    "http.route": path.template,
    "lotline.operation": operation ?? "unknown",
    "lotline.request_id": requestId,
    "lotline.shadow": requestId.endsWith(SHADOW),
    ...marksOf(logged),
  });
}

/** What a step says of a request, as far as it is a yes. */
function marksOf(logged: LogFields | undefined): Record<string, boolean> {
  const marks = Object.entries(logged ?? {}).filter(([, value]) => value === true);
  return Object.fromEntries(marks.map(([name]) => [`lotline.${name}`, true]));
}

/** The token's fault, when the request was refused for it or would have been. */
function refusedTokenFault(
  { refused, wouldRefuse, tokenFault }: RequestState,
): TokenFault | undefined {
  if (refused instanceof BadTokenError) return refused.fault;
  return wouldRefuse === "bad_token" ? tokenFault : undefined;
}

function idOf(request: Request): string {
  const given = request.headers.get("x-request-id");
  return given !== null && /^[\w.-]{1,64}$/.test(given) ? given : crypto.randomUUID();
}
