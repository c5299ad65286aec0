import type { OperationId } from "../auth/access.ts";
import { BadTokenError } from "../auth/bad_token.ts";
import type { Guard } from "../auth/guard.ts";
import { DRY_RUN_DONE, DRY_RUN_HEADER } from "../contract/dry_run.ts";
import { ApiError, type ErrorCode, toApiError } from "../errors.ts";
import { describeError, type Log } from "../log.ts";
import {
  type DryRunOutcome,
  isRefusalReason,
  type Metrics,
  type RefusalReason,
  type TokenFault,
} from "../metrics.ts";
import { answerError } from "./answer.ts";
import { type BodyLimits, readBody } from "./body.ts";
import type { ReadClient } from "../client_address.ts";
import { allowOrigin, type CorsPolicy, preflight } from "./cors.ts";
import { asksForDryRun, provenDryRun } from "./dry_run.ts";
import { type App, RequestFacts } from "./operation.ts";
import { allowHeader, pathnameOf, queryOf } from "./paths.ts";
import { ClosingConnections } from "./closing_connections.ts";
import { checkHead, refusedConnection } from "./request_head.ts";
import { setSecurityHeaders } from "./security_headers.ts";

/** Bounds of one process. */
export interface Limits extends BodyLimits {
  /** The most requests that are worked on at once; more are told to come back. */
  readonly inFlight: number;
}

/** What stands around every route. */
export interface EnvelopeDeps {
  readonly app: App;
  readonly guard: Guard;
  readonly cors: CorsPolicy;
  readonly readClient: ReadClient;
  readonly limits: Limits;
  /** What proves a request for a dry run; without it none is believed. */
  readonly dryRunSecret?: string;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** Answers a request; `peer` is the address at the other end of its connection, `port` its port. */
export type Serve = (request: Request, peer: string, port?: number) => Promise<Response>;

/**
 * Refusals of logins are held back: whoever sends the next login on the answer to the last, as
 * guessing programs do, gets to one a second on each connection, which costs next to nothing.
 */
const HELD_BACK: ReadonlySet<ErrorCode> = new Set(["too_many_tries", "too_many_logins"]);
const HOLD_MS = 1_000;
/** Some kB each; those beyond it are answered at once. */
const MOST_HELD = 10_000;

/**
 * What every request goes through before and after its route: an id, the path and method, who is
 * asking and whether they may, CORS, a bound on the work at hand, errors as JSON, one log line.
 */
export function createEnvelope(
  { app, guard, cors, readClient, limits, dryRunSecret, metrics, log }: EnvelopeDeps,
): Serve {
  let inFlight = 0;
  let held = 0;
  const closing = new ClosingConnections();

  return async (request, peer, port) => {
    const started = performance.now();
    const requestId = idOf(request);
    const client = readClient(request, peer);
    const path = app.paths.find(pathnameOf(request.url));
    const facts = path && new RequestFacts(path, client.address);
    const isDryRun = asksForDryRun(request);
    let isProven = false;
    let refused: ApiError | undefined;
    let response: Response;
    inFlight++;
    try {
      if (closing.isClosing(peer, port)) throw refusedConnection();
      if (inFlight > limits.inFlight) throw new ApiError("overloaded", "Too busy, try again soon");
      if (isDryRun) {
        const asked = await provenDryRun(request, dryRunSecret, limits);
        isProven = true;
        if (facts !== undefined) facts.isDryRun = true;
        response = await respond(asked, facts);
      } else {
        response = await respond(request, facts);
      }
    } catch (thrown) {
      refused = toApiError(thrown);
      const closes = refused.headers.connection === "close";
      if (closes && port !== undefined) closing.close(peer, port);
      response = answerError(refused);
    } finally {
      inFlight--;
    }
    // It isn't worked on meanwhile, and takes nobody's place among those that are. The gateway, which
    // asks for dry runs, is no guessing program.
    if (refused && !isDryRun && HELD_BACK.has(refused.code) && held < MOST_HELD) {
      held++;
      await new Promise((resolve) => setTimeout(resolve, HOLD_MS));
      held--;
    }
    const { headers, status } = response;
    if (refused === undefined) {
      for (const name in facts?.answerHeaders) headers.set(name, facts.answerHeaders[name] ?? "");
    }
    allowOrigin(headers, cors, request.headers.get("origin"));
    setSecurityHeaders(headers, client.secure);
    headers.set("x-request-id", requestId);
    const operation = path?.methods.get(routedMethod(request.method));
    const tokenFault = refusedTokenFault(refused, facts);
    if (operation !== undefined) count(operation, refused, facts?.wouldRefuse, tokenFault);
    if (isDryRun) {
      const outcome = dryRunOutcome(isProven, refused, status);
      if (outcome === "done" || outcome === "failed") headers.set(DRY_RUN_HEADER, DRY_RUN_DONE);
      metrics.dryRun(operation ?? "unknown", outcome);
    }
    log(status >= 500 ? "error" : "info", "request", {
      method: request.method.slice(0, 20),
      // The template, not the path: what a client writes there may be anything.
      route: path?.template ?? "unknown",
      status,
      ms: Math.round((performance.now() - started) * 10) / 10,
      request_id: requestId,
      dry_run: isDryRun || undefined,
      required_would_refuse: facts?.wouldRefuse,
      refused: refused && isRefusalReason(refused.code) ? refused.code : undefined,
      bad_token: tokenFault,
      error: refused && status >= 500 ? describeError(refused.cause ?? refused) : undefined,
    });
    return response;
  };

  async function respond(request: Request, facts: RequestFacts | undefined): Promise<Response> {
    checkHead(request.headers);
    if (request.method === "OPTIONS") return preflight(request, cors);
    // What follows was for somebody else.
    if (request.method === "CONNECT") {
      throw new ApiError("path_not_found", "This is no proxy for CONNECT", {
        headers: { connection: "close" },
      });
    }
    if (facts === undefined) {
      // The old server read the body before it looked for the path: a broken one was 400 anywhere.
      await readBody(request, limits, "lenient");
      throw new ApiError("path_not_found", "There is nothing at this path");
    }
    const { methods } = facts.path;
    const operation = methods.get(routedMethod(request.method));
    if (operation === undefined) {
      const allow = allowHeader(methods.keys());
      throw new ApiError("method_not_allowed", `This path answers ${allow}`, {
        headers: { allow },
      });
    }
    if (facts.isDryRun && !app.canRunDry(operation, request.method)) {
      throw new ApiError("dry_run_impossible", "This can't be run without an effect");
    }
    await admit(operation, request, facts);
    // HEAD is asked as GET: Hono would drop the body, and with it the length that HEAD has to tell.
    // Made anew, its path being found already: a copy would hang on the abort signal of the first.
    facts.isHead = request.method === "HEAD";
    const asked = facts.isHead
      ? new Request(`http://localhost/${queryOf(request.url)}`, { headers: request.headers })
      : request;
    return await app.router.fetch(asked, facts);
  }

  async function admit(operation: OperationId, request: Request, facts: RequestFacts) {
    const { caller, ended, tokenFault, wouldRefuse } = await guard(operation, request.headers);
    facts.caller = caller;
    facts.ended = ended;
    facts.tokenFault = tokenFault;
    facts.wouldRefuse = wouldRefuse;
  }

  function count(
    operation: OperationId,
    refused: ApiError | undefined,
    wouldRefuse: RefusalReason | undefined,
    tokenFault: TokenFault | undefined,
  ): void {
    if (tokenFault !== undefined) metrics.badToken(operation, tokenFault);
    if (wouldRefuse !== undefined) metrics.requiredWouldRefuse(operation, wouldRefuse);
    if (refused !== undefined && isRefusalReason(refused.code)) {
      metrics.refused(operation, refused.code);
    }
  }
}

/** What is wrong with a token for which the request was refused, or would have been. */
function refusedTokenFault(
  refused: ApiError | undefined,
  facts: RequestFacts | undefined,
): TokenFault | undefined {
  if (refused instanceof BadTokenError) return refused.fault;
  return facts?.wouldRefuse === "bad_token" ? facts.tokenFault : undefined;
}

function dryRunOutcome(
  isProven: boolean,
  refused: ApiError | undefined,
  status: number,
): DryRunOutcome {
  if (!isProven) return "unproven";
  if (refused?.code === "dry_run_impossible") return "impossible";
  return status >= 500 ? "failed" : "done";
}

function routedMethod(method: string): string {
  return method === "HEAD" ? "GET" : method;
}

function idOf(request: Request): string {
  const given = request.headers.get("x-request-id");
  return given !== null && /^[\w.-]{1,64}$/.test(given) ? given : crypto.randomUUID();
}
