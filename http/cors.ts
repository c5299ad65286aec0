import { RESPONSE_HEADERS } from "../contract/response_headers.ts";

/** Scripts of any origin may call, or those of the listed origins. */
export type CorsPolicy = "any" | ReadonlySet<string>;

export function corsPolicy(setting: "*" | "any-site" | readonly string[]): CorsPolicy {
  return typeof setting === "string" ? "any" : new Set(setting);
}

/**
 * Allows a script of `origin` to read a response (https://fetch.spec.whatwg.org). Credentials are
 * never allowed: tokens travel in a header, and the service reads no cookies.
 */
export function allowOrigin(headers: Headers, policy: CorsPolicy, origin: string | null): void {
  if (policy === "any") return headers.set("access-control-allow-origin", "*");
  // Also without an origin: a cache must not serve one site the response to another.
  headers.append("vary", "Origin");
  if (origin !== null && policy.has(origin)) headers.set("access-control-allow-origin", origin);
}

const EXPOSED = RESPONSE_HEADERS.join(", ");

/**
 * Lets a script of an allowed origin read the contract's headers, such as the request's id. A
 * request without an origin comes from no script of another site.
 */
export function exposeHeaders(headers: Headers, origin: string | null): void {
  if (origin === null || !headers.has("access-control-allow-origin")) return;
  headers.set("access-control-expose-headers", EXPOSED);
}

/**
 * The response to OPTIONS on any path. It equals that of the old server's `cors` package, except
 * that an unlisted origin does not learn the methods and headers.
 */
export function preflight(request: Request, policy: CorsPolicy): Response {
  const headers = new Headers({ vary: "Access-Control-Request-Headers" });
  if (policy === "any" || policy.has(request.headers.get("origin") ?? "")) {
    headers.set("access-control-allow-methods", "GET,HEAD,PUT,PATCH,POST,DELETE");
    const requested = request.headers.get("access-control-request-headers");
    if (requested) headers.set("access-control-allow-headers", requested);
  }
  return new Response(null, { status: 204, headers });
}
