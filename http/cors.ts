/** Whose scripts may call: every site's, or those of these origins. */
export type CorsPolicy =
  | { readonly kind: "any" }
  | { readonly kind: "listed"; readonly origins: ReadonlySet<string> };

/** The policy that `CORS_ORIGINS` asks for. */
export function corsPolicy(setting: "*" | "any-site" | readonly string[]): CorsPolicy {
  return typeof setting === "string"
    ? { kind: "any" }
    : { kind: "listed", origins: new Set(setting) };
}

/**
 * Says on an answer whether a script of `origin` may read it (https://fetch.spec.whatwg.org). Never
 * with credentials: tokens travel in a header of their own, and nothing here reads a cookie.
 */
export function allowOrigin(headers: Headers, policy: CorsPolicy, origin: string | null): void {
  if (policy.kind === "any") return headers.set("access-control-allow-origin", "*");
  // Also without an origin: a cache must not give one site the answer that another asked for.
  headers.append("vary", "Origin");
  if (isListed(policy, origin)) headers.set("access-control-allow-origin", origin);
}

/**
 * The answer to OPTIONS on any path, as the old server's `cors` package gave it, but for what tells
 * an origin that isn't listed what it could do.
 */
export function preflight(request: Request, policy: CorsPolicy): Response {
  const headers = new Headers({ vary: "Access-Control-Request-Headers" });
  if (policy.kind === "any" || isListed(policy, request.headers.get("origin"))) {
    headers.set("access-control-allow-methods", "GET,HEAD,PUT,PATCH,POST,DELETE");
    const requested = request.headers.get("access-control-request-headers");
    if (requested) headers.set("access-control-allow-headers", requested);
  }
  return new Response(null, { status: 204, headers });
}

function isListed(policy: CorsPolicy, origin: string | null): origin is string {
  return policy.kind === "listed" && origin !== null && policy.origins.has(origin);
}
