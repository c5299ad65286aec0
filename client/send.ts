import { LotlineError, reasonOf, retryAfterOf } from "./errors.ts";
import { orAborted, type Outcome, sleep, waitBeforeRetry } from "./retry.ts";
import type { Session } from "./session.ts";

/** What `openapi-fetch` sends its requests with; any function like the global `fetch`. */
export type Fetch = (request: Request) => Promise<Response>;

const LOGIN = "/api/login";

/** Those that no token is needed for, and so no login either. */
export const OPEN: ReadonlySet<string> = new Set([
  LOGIN,
  "/api/health",
  "/.well-known/jwks.json",
  "/livez",
  "/readyz",
]);

const LINES_TYPE = "application/x-ndjson";
/** Their responses have no body; `Response` refuses even an empty one. */
const WITHOUT_BODY: ReadonlySet<number> = new Set([204, 205, 304]);

interface SendOptions {
  /** Where the service is; without a slash at the end. */
  readonly baseUrl: string;
  readonly session: Session;
  readonly fetch: Fetch;
  readonly retries: number;
  readonly timeoutMs: number;
}

/** A request whose body has been read, so that it can be sent more than once. */
interface Sent {
  readonly request: Request;
  readonly headers: Headers;
  readonly body: ArrayBuffer | undefined;
  /** Whether the client's own token goes with it. */
  readonly isOurs: boolean;
}

/**
 * Sends requests with token and key, each try bounded in time, and again where that is safe and may
 * help. Throws a {@link LotlineError} when there is no response, or none to a login that was needed;
 * the reason of the caller's signal when that ended it.
 */
export function createSend({ baseUrl, session, fetch, retries, timeoutMs }: SendOptions): Fetch {
  return async (request) => {
    const requested = await prepare(request);
    const { method, signal } = request;
    // What is sent twice must count once: GETs change nothing, and a key says that it is the same.
    const isRepeatable = method === "GET" || method === "HEAD" ||
      (method === "POST" && requested.headers.has("idempotency-key"));
    for (let tries = 1;; tries++) {
      const result = await attempt(requested).catch(keepError);
      const wait = isRepeatable
        ? waitBeforeRetry(outcomeOf(result), { tries, retries }, Math.random())
        : undefined;
      if (wait === undefined) {
        if (result instanceof LotlineError) throw result;
        return result;
      }
      await sleep(wait, signal);
    }
  };

  async function prepare(request: Request): Promise<Sent> {
    const { method, url } = request;
    // A request that was sent elsewhere on purpose is no business of this service's token.
    const path = url.startsWith(`${baseUrl}/`) ? new URL(url).pathname : undefined;
    const template = path?.slice(new URL(baseUrl).pathname.replace(/\/$/, "").length);
    const headers = new Headers(request.headers);
    if (method === "POST" && template !== LOGIN && !headers.has("idempotency-key")) {
      headers.set("idempotency-key", newKey());
    }
    const hasBody = method !== "GET" && method !== "HEAD";
    return {
      request,
      headers,
      body: hasBody ? await request.arrayBuffer() : undefined,
      isOurs: template !== undefined && !OPEN.has(template) && !headers.has("authorization"),
    };
  }

  async function attempt(requested: Sent): Promise<Response> {
    if (!requested.isOurs) return await sendOnce(requested, undefined);
    const { signal } = requested.request;
    // Others may wait for the same login: the signal of one of them doesn't end it.
    const token = await orAborted(session.token(), signal);
    const response = await sendOnce(requested, token);
    if (response.status !== 401 || token === undefined) return response;
    const other = await orAborted(session.instead(token), signal);
    return other === undefined ? response : await sendOnce(requested, other);
  }

  async function sendOnce(requested: Sent, token: string | undefined): Promise<Response> {
    const { request, body } = requested;
    const headers = new Headers(requested.headers);
    if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
    const { signal } = request;
    signal.throwIfAborted();
    const ended = new AbortController();
    const end = () => ended.abort(signal.reason);
    signal.addEventListener("abort", end);
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      ended.abort();
    }, timeoutMs);
    try {
      const response = await fetch(new Request(request, { headers, body, signal: ended.signal }));
      // Read here, lines aside: until its last byte has come, a response can fail like a request.
      const isStream = response.headers.get("content-type")?.startsWith(LINES_TYPE);
      if (isStream) return response;
      const bytes = await response.arrayBuffer();
      signal.removeEventListener("abort", end);
      return new Response(WITHOUT_BODY.has(response.status) ? null : bytes, response);
    } catch (cause) {
      signal.removeEventListener("abort", end);
      signal.throwIfAborted();
      const { origin } = new URL(request.url);
      throw isLate
        ? new LotlineError("timeout", `No response from ${origin} within ${timeoutMs} ms`, {
          cause,
        })
        : new LotlineError("network", noResponse(origin, cause), { cause });
    } finally {
      clearTimeout(timer);
    }
  }
}

/** `crypto.randomUUID` is missing in pages without TLS: https://w3c.github.io/webcrypto/. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A browser gives the same reason for a service that is unavailable and for one that refuses CORS. */
function noResponse(origin: string, cause: unknown): string {
  const message = `No response from ${origin}: ${reasonOf(cause)}`;
  // Only pages and their workers have one.
  const page = globalThis.location?.origin;
  if (page === undefined || page === origin) return message;
  return `${message} (the service is unavailable, or its CORS_ORIGINS lacks ${page})`;
}

/** A login that was needed and failed is retried as the request itself would be. */
function keepError(thrown: unknown): LotlineError {
  if (thrown instanceof LotlineError && thrown.kind !== "unreadable") return thrown;
  throw thrown;
}

function outcomeOf(result: Response | LotlineError): Outcome {
  if (result instanceof LotlineError) return result;
  return { status: result.status, retryAfterMs: retryAfterOf(result.headers, Date.now()) };
}
