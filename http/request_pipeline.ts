import type { OperationId } from "../auth/access.ts";
import { BadTokenError } from "../auth/bad_token.ts";
import type { Guard } from "../auth/guard.ts";
import { ApiError, type ErrorCode, toApiError } from "../errors.ts";
import { describeError, type Log } from "../log.ts";
import { isRefusalReason, type Metrics, type TokenFault } from "../metrics.ts";
import { delay } from "../timing.ts";
import { errorResponse } from "./response.ts";
import { type BodyLimits, readBody } from "./body.ts";
import type { ReadClient } from "../client_address.ts";
import { allowOrigin, type CorsPolicy, preflight } from "./cors.ts";
import type { Effects } from "./effects.ts";
import { type App, RequestState } from "./operation.ts";
import { allowHeader, type FoundPath, pathnameOf, queryOf } from "./paths.ts";
import { ClosingConnections } from "./closing_connections.ts";
import { checkHead, refusedConnection } from "./request_head.ts";
import { setSecurityHeaders } from "./security_headers.ts";

/** Bounds of one process. */
export interface Limits extends BodyLimits {
  /** The most requests that are worked on at once; more are told to come back. */
  readonly inFlight: number;
}

/** What stands around every route. */
export interface PipelineDeps {
  readonly app: App;
  readonly guard: Guard;
  readonly cors: CorsPolicy;
  readonly readClient: ReadClient;
  readonly limits: Limits;
  readonly effects: Effects;
  /** The first of them is the outermost. */
  readonly steps?: readonly Step[];
  readonly metrics: Metrics;
  readonly log: Log;
}

/** Answers a request, as an error if it is refused. Never throws. */
export type Respond = (request: Request, state: RequestState) => Promise<Response>;

/**
 * A step that the pipeline can do without. It hands a request on to `next`, or throws what the request
 * is refused with. Before that it may change the request's state, and after that the answer.
 */
export type Step = (request: Request, state: RequestState, next: Respond) => Promise<Response>;

/** Answers a request; `peer` is the address at the other end of its connection, `port` its port. */
export type Serve = (request: Request, peer: string, port?: number) => Promise<Response>;

/**
 * Refusals of logins are held back: whoever sends the next login on the answer to the last, as
 * guessing programs do, gets to one a second on each connection, which costs next to nothing.
 */
const HELD_BACK: ReadonlySet<ErrorCode> = new Set(["too_many_tries", "too_many_logins"]);
const HOLD_MS = 1_000;
/** Some kB each; those beyond it are answered at once. */
const MAX_HELD = 10_000;

/** Where a request leads to whose path is none of ours. */
const NOWHERE: FoundPath<OperationId> = {
  template: "unknown",
  parameters: {},
  methods: new Map(),
};

/**
 * What every request goes through before and after its route: an id, the path and method, who is
 * asking and whether they may, CORS, a bound on the work at hand, errors as JSON, one log line.
 */
export function createRequestPipeline(
  { app, guard, cors, readClient, limits, effects, steps = [], metrics, log }: PipelineDeps,
): Serve {
  let inFlight = 0;
  let held = 0;
  const closing = new ClosingConnections();
  const answer = steps.reduceRight<Respond>(
    (next, step) => (request, state) => step(request, state, next),
    (request, state) => respond(request, state).catch((thrown) => refuse(thrown, state)),
  );

  return async (request, peer, port) => {
    const started = performance.now();
    const requestId = idOf(request);
    const client = readClient(request, peer);
    const path = app.paths.find(pathnameOf(request.url)) ?? NOWHERE;
    const state = new RequestState(request.method, path, client.address, effects);
    let response: Response;
    inFlight++;
    try {
      if (closing.isClosing(peer, port)) throw refusedConnection();
      if (inFlight > limits.inFlight) throw new ApiError("overloaded", "Too busy, try again soon");
      response = await answer(request, state);
    } catch (thrown) {
      response = refuse(thrown, state);
    } finally {
      inFlight--;
    }
    const { refused } = state;
    if (refused?.headers.connection === "close" && port !== undefined) closing.close(peer, port);
    // It isn't worked on meanwhile, and takes nobody's place among those that are.
    if (refused && state.effects.holdsBack && HELD_BACK.has(refused.code) && held < MAX_HELD) {
      held++;
      await delay(HOLD_MS);
      held--;
    }
    const { headers, status } = response;
    if (refused === undefined) {
      for (const name in state.responseHeaders) {
        headers.set(name, state.responseHeaders[name] ?? "");
      }
    }
    allowOrigin(headers, cors, request.headers.get("origin"));
    setSecurityHeaders(headers, client.secure);
    headers.set("x-request-id", requestId);
    const tokenFault = refusedTokenFault(state);
    count(state, tokenFault);
    log(status >= 500 ? "error" : "info", "request", {
      method: request.method.slice(0, 20),
      // The template, not the path: what a client writes there may be anything.
      route: path.template,
      status,
      ms: Math.round((performance.now() - started) * 10) / 10,
      request_id: requestId,
      ...state.logged,
      required_would_refuse: state.wouldRefuse,
      refused: refused && isRefusalReason(refused.code) ? refused.code : undefined,
      bad_token: tokenFault,
      error: refused && status >= 500 ? describeError(refused.cause ?? refused) : undefined,
    });
    return response;
  };

  async function respond(request: Request, state: RequestState): Promise<Response> {
    checkHead(request.headers);
    if (request.method === "OPTIONS") return preflight(request, cors);
    // What follows was for somebody else.
    if (request.method === "CONNECT") {
      throw new ApiError("path_not_found", "This is no proxy for CONNECT", {
        headers: { connection: "close" },
      });
    }
    if (state.path === NOWHERE) {
      // The old server read the body before it looked for the path: a broken one was 400 anywhere.
      await readBody(request, limits, "lenient");
      throw new ApiError("path_not_found", "There is nothing at this path");
    }
    if (state.operation === undefined) {
      const allow = allowHeader(state.path.methods.keys());
      throw new ApiError("method_not_allowed", `This path answers ${allow}`, {
        headers: { allow },
      });
    }
    await admit(state.operation, request, state);
    // HEAD is asked as GET: Hono would drop the body, and with it the length that HEAD has to tell.
    // Made anew, its path being found already: a copy would hang on the abort signal of the first.
    state.isHead = request.method === "HEAD";
    const unwrapped = state.isHead
      ? new Request(`http://localhost/${queryOf(request.url)}`, { headers: request.headers })
      : request;
    return await app.router.fetch(unwrapped, state);
  }

  async function admit(operation: OperationId, request: Request, state: RequestState) {
    const { caller, revoked: ended, tokenFault, wouldRefuse } = await guard(
      operation,
      request.headers,
    );
    state.caller = caller;
    state.revoked = ended;
    state.tokenFault = tokenFault;
    state.wouldRefuse = wouldRefuse;
  }

  function count(
    { operation, refused, wouldRefuse }: RequestState,
    tokenFault: TokenFault | undefined,
  ): void {
    if (operation === undefined) return;
    if (tokenFault !== undefined) metrics.badToken(operation, tokenFault);
    if (wouldRefuse !== undefined) metrics.requiredWouldRefuse(operation, wouldRefuse);
    if (refused !== undefined && isRefusalReason(refused.code)) {
      metrics.refused(operation, refused.code);
    }
  }
}

function refuse(thrown: unknown, state: RequestState): Response {
  state.refused = toApiError(thrown);
  return errorResponse(state.refused);
}

/** What is wrong with a token for which the request was refused, or would have been. */
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
