import type { AuthMode } from "../../auth/guard.ts";

/** A violation of the contract, which one check must find. */
export interface Planted {
  readonly what: string;
  readonly mode: AuthMode;
  /** The id of the broken operation; the others are neither changed nor requested. */
  readonly operation: string;
  /** The check that must find it; undefined for an unbroken service. */
  readonly check: string | undefined;
  /** Changes a request before the service; a returned response is sent in its place. */
  readonly request?: (request: Request, spoiler: Spoiler) => Promise<Request | Response>;
  /** Changes a response. */
  readonly respond?: (request: Request, response: Response) => Promise<Response>;
}

/** What a violation may use. */
interface Spoiler {
  /** The last `Authorization` that was accepted. */
  readonly lastGood: string | undefined;
}

const withHeaders = (response: Response, change: (headers: Headers) => void): Response => {
  const headers = new Headers(response.headers);
  change(headers);
  return new Response(response.body, { status: response.status, headers });
};

/** A successful response that has a body, with another body. */
const withJson =
  (change: (body: Record<string, unknown>) => void) =>
  async (_: Request, response: Response): Promise<Response> => {
    if (!response.ok || response.status === 204) return response;
    const body = await response.json();
    change(body);
    return Response.json(body, { status: response.status, headers: response.headers });
  };

const withLastToken = (request: Request, { lastGood }: Spoiler): Promise<Request> => {
  const headers = new Headers(request.headers);
  if (lastGood !== undefined) headers.set("authorization", lastGood);
  return Promise.resolve(new Request(request, { headers }));
};

const failed = (status: number) => Response.json({ error: "planted" }, { status });

/** All violations, and the proxy alone, which no check may find. */
export const PLANTED: readonly Planted[] = [
  { what: "nothing", mode: "legacy", operation: "createLot", check: undefined },
  { what: "nothing", mode: "required", operation: "createLot", check: undefined },
  {
    what: "a status that isn't documented",
    mode: "legacy",
    operation: "getHealth",
    check: "status_code_conformance",
    respond: (_, response) =>
      Promise.resolve(new Response(response.body, { ...parts(response), status: 203 })),
  },
  {
    what: "a field more in a response",
    mode: "legacy",
    operation: "getReadiness",
    check: "response_schema_conformance",
    respond: withJson((body) => body.uptime = 1),
  },
  {
    what: "a required field less in a response",
    mode: "legacy",
    operation: "getTraceability",
    check: "response_schema_conformance",
    respond: withJson((body) => delete body.children),
  },
  {
    what: "a looser type: kilograms as a number",
    mode: "legacy",
    operation: "createLot",
    check: "response_schema_conformance",
    respond: withJson((body) => body.weight_kg = 12.5),
  },
  {
    what: "a promised header is missing",
    mode: "legacy",
    operation: "listAudits",
    check: "response_headers_conformance",
    respond: (_, response) =>
      Promise.resolve(withHeaders(response, (headers) => headers.delete("etag"))),
  },
  {
    what: "an error as HTML",
    mode: "legacy",
    operation: "getAudit",
    check: "content_type_conformance",
    respond: (_, response) =>
      Promise.resolve(
        response.status < 400
          ? response
          : withHeaders(response, (headers) => headers.set("content-type", "text/html")),
      ),
  },
  {
    what: "500 on unusual input: a lot code beyond ASCII",
    mode: "legacy",
    operation: "createDeepTrace",
    check: "not_a_server_error",
    request: async (request) =>
      /[^\x00-\x7f]|\\u[0-9a-f]{4}/i.test(await request.clone().text()) ? failed(500) : request,
  },
  {
    what: "405 without Allow",
    mode: "legacy",
    operation: "getLiveness",
    check: "unsupported_method",
    respond: (_, response) =>
      Promise.resolve(withHeaders(response, (headers) => headers.delete("allow"))),
  },
  {
    what: "an Allow that names a method more",
    mode: "legacy",
    operation: "createLot",
    check: "allow_header_conformance",
    respond: (request, response) =>
      Promise.resolve(
        request.method === "OPTIONS"
          ? withHeaders(response, (headers) => headers.set("allow", "DELETE, OPTIONS, POST"))
          : response,
      ),
  },
  {
    what: "an ETag that stays when the body changes",
    mode: "legacy",
    operation: "getMetrics",
    check: "etag_is_of_this_body",
    respond: (_, response) =>
      Promise.resolve(withHeaders(response, (headers) => headers.set("etag", 'W/"planted"'))),
  },
  {
    what: "input outside the contract is taken",
    mode: "legacy",
    operation: "createAudit",
    check: "negative_data_rejection",
    request: (request) => Promise.resolve(new Request(request.url, { method: request.method })),
  },
  {
    what: "input inside the contract is refused: a temperature as text",
    mode: "legacy",
    operation: "createQcDecision",
    check: "positive_data_acceptance",
    request: async (request) =>
      /"temperature_c": "/.test(await request.clone().text()) ? failed(422) : request,
  },
  {
    what: "a lot just created can't be traced",
    mode: "legacy",
    operation: "createLot",
    check: "created_lot_is_traced",
    request: (request) =>
      Promise.resolve(request.url.includes("/api/traceability/") ? failed(404) : request),
  },
  {
    what: "a token isn't needed",
    mode: "required",
    operation: "listAudits",
    check: "ignored_auth",
    request: withLastToken,
  },
  {
    what: "a role isn't checked",
    mode: "required",
    operation: "createAudit",
    check: "roles_are_obeyed",
    request: async (request, spoiler) => {
      const response = await fetch(request.clone());
      return response.status === 403 ? withLastToken(request, spoiler) : response;
    },
  },
  {
    what: "a logout that ends nothing",
    mode: "required",
    operation: "logout",
    check: "logout_ends_the_token",
    request: (request) =>
      Promise.resolve(request.method === "POST" ? new Response(null, { status: 204 }) : request),
  },
];

const parts = ({ status, headers }: Response) => ({ status, headers });

/** Puts a proxy with this violation before a service. */
export function plant(planted: Planted, upstream: string): { url: string } & AsyncDisposable {
  let lastGood: string | undefined;
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (from) => {
      const { pathname, search } = new URL(from.url);
      const body = from.body === null ? null : await from.arrayBuffer();
      const { headers } = from;
      // fetch can't send TRACE. No path accepts PATCH either, so it makes no difference.
      const method = from.method === "TRACE" ? "PATCH" : from.method;
      const sent = new Request(upstream + pathname + search, { method, headers, body });
      // Schemathesis needs the login, so it stays unchanged.
      const isLogin = pathname === "/api/login";
      const request = isLogin ? sent : await planted.request?.(sent, { lastGood }) ?? sent;
      const requested = request instanceof Request ? request.clone() : undefined;
      const unread = request instanceof Request
        ? await fetch(request, { redirect: "manual" })
        : request;
      const token = sent.headers.get("authorization");
      if (unread.ok && token !== null) lastGood = token;
      if (requested === undefined || isLogin) return unread;
      // The length is that of a body that may be changed.
      const response = withHeaders(unread, (headers) => headers.delete("content-length"));
      return await planted.respond?.(requested, response) ?? response;
    },
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
