import { ApiError, toApiError } from "../errors.ts";
import { describeError, type Log } from "../log.ts";
import { answerError } from "./answer.ts";
import { type BodyLimits, readBody } from "./body.ts";
import { type App, RequestFacts } from "./operation.ts";
import { allowHeader, type FoundPath, pathnameOf, PathTable } from "./paths.ts";

/** Bounds of one process. */
export interface Limits extends BodyLimits {
  /** The most requests that are worked on at once; more are told to come back. */
  readonly inFlight: number;
}

/** What stands around every route. */
export interface EnvelopeDeps {
  readonly app: App;
  readonly limits: Limits;
  readonly log: Log;
}

/**
 * What every request goes through before and after its route: an id, CORS as the old server had it,
 * the path and method, a bound on the work at hand, errors as JSON, one log line.
 */
export function createEnvelope(
  { app, limits, log }: EnvelopeDeps,
): (request: Request) => Promise<Response> {
  const paths = new PathTable();
  for (const { method, path } of app.routes) paths.add(method, path);
  let inFlight = 0;

  return async (request) => {
    const started = performance.now();
    const requestId = idOf(request);
    const path = paths.find(pathnameOf(request.url));
    let fault: string | undefined;
    let response: Response;
    inFlight++;
    try {
      if (inFlight > limits.inFlight) throw new ApiError("overloaded", "Too busy, try again soon");
      response = await respond(request, path, requestId);
    } catch (thrown) {
      const error = toApiError(thrown);
      if (error.status >= 500) fault = describeError(error.cause ?? error);
      response = answerError(error.status, error.body, error.headers);
    } finally {
      inFlight--;
    }
    response.headers.set("access-control-allow-origin", "*");
    response.headers.set("x-request-id", requestId);
    const { status } = response;
    log(status >= 500 ? "error" : "info", "request", {
      method: request.method.slice(0, 20),
      // The template, not the path: what a client writes there may be anything.
      route: path?.template ?? "unknown",
      status,
      ms: Math.round((performance.now() - started) * 10) / 10,
      request_id: requestId,
      error: fault,
    });
    return response;
  };

  async function respond(
    request: Request,
    path: FoundPath | undefined,
    requestId: string,
  ): Promise<Response> {
    if (!request.headers.has("host")) {
      throw new ApiError("invalid_request", "The request has no Host header");
    }
    if (request.method === "OPTIONS") return preflight(request);
    if (path === undefined) {
      // The old server read the body before it looked for the path: a broken one was 400 anywhere.
      await readBody(request, limits);
      throw new ApiError("path_not_found", "There is nothing at this path");
    }
    const method = request.method === "HEAD" ? "GET" : request.method;
    if (!path.methods.has(method)) {
      const allow = allowHeader(path.methods);
      throw new ApiError("method_not_allowed", `This path answers ${allow}`, {
        headers: { allow },
      });
    }
    // HEAD is asked as GET: Hono would drop the body, and with it the length that HEAD has to tell.
    // Made anew, its path being found already: a copy would hang on the abort signal of the first.
    const asked = request.method === "HEAD"
      ? new Request("http://localhost/", { headers: request.headers })
      : request;
    return await app.fetch(asked, new RequestFacts(path, requestId));
  }
}

/** The answer to OPTIONS on any path, as the old server's `cors` package gave it. */
function preflight(request: Request): Response {
  const headers = new Headers({
    "access-control-allow-methods": "GET,HEAD,PUT,PATCH,POST,DELETE",
    vary: "Access-Control-Request-Headers",
  });
  const requested = request.headers.get("access-control-request-headers");
  if (requested) headers.set("access-control-allow-headers", requested);
  return new Response(null, { status: 204, headers });
}

function idOf(request: Request): string {
  const given = request.headers.get("x-request-id");
  return given !== null && /^[\w.-]{1,64}$/.test(given) ? given : crypto.randomUUID();
}
