import { createRoute, z } from "@hono/zod-openapi";
import { deepStrictEqual, match, ok, strictEqual, throws } from "node:assert/strict";
import { ApiError } from "../errors.ts";
import { createMetrics } from "../metrics.ts";
import { errors } from "../routes/responses.ts";
import { NO_EFFECTS } from "../testing/no_effects.ts";
import { type Deprecation, deprecationHeaders } from "./deprecation.ts";
import { App, operation } from "./operation.ts";
import { createRequestPipeline } from "./request_pipeline.ts";

const DEPRECATION: Deprecation = {
  since: "2026-12-01",
  sunset: "2027-07-01",
  link: "https://lotline.example/docs/audits",
};
const HEADERS = {
  deprecation: "@1796083200",
  sunset: "Thu, 01 Jul 2027 00:00:00 GMT",
  link: '<https://lotline.example/docs/audits>; rel="deprecation"; type="text/html", ' +
    '<https://lotline.example/docs/audits>; rel="sunset"; type="text/html"',
};
const USER = "00000000-0000-4000-8000-000000000001";

/** A service with one deprecated operation, which fails on request, and one that isn't. */
function exampleService() {
  const app = new App();
  const route = (operationId: string, path: string) => {
    const fine = { description: "Fine.", content: { "text/plain": { schema: z.string() } } };
    const responses = { 200: fine, ...errors(404) };
    return createRoute({ operationId, method: "get", path, responses });
  };
  operation(app, route("listAudits", "/old"), (c) => {
    if (c.req.url.includes("?none")) throw new ApiError("audit_not_found", "There is none");
    return c.text("old");
  }, { deprecation: DEPRECATION });
  operation(app, route("getAudit", "/new"), (c) => c.text("new"));
  const metrics = createMetrics();
  const lines: Record<string, unknown>[] = [];
  const serve = createRequestPipeline({
    app,
    guard: () => ({
      caller: { sub: USER, role: "ADMIN", jti: "", iat: 0, exp: 0 },
    }),
    cors: "any",
    readClient: () => ({ address: "127.0.0.1", secure: false }),
    limits: { bytes: 1024, deadlineMs: 1_000, inFlight: 10 },
    stopping: new AbortController().signal,
    effects: NO_EFFECTS,
    isSchemaBehind: () => false,
    metrics,
    log: (_level, event, fields) => void lines.push({ event, ...fields }),
  });
  const send = (path: string, method = "GET") =>
    serve(
      new Request(`http://localhost${path}`, { method, headers: { host: "localhost" } }),
      "127.0.0.1",
    );
  return { app, send, lines, metrics };
}

function headersOf({ headers }: Response) {
  return Object.fromEntries(Object.keys(HEADERS).map((name) => [name, headers.get(name)]));
}

const NONE = { deprecation: null, sunset: null, link: null };

Deno.test("each response of a deprecated operation says since when, until when, and what replaces it", async () => {
  const { send } = exampleService();
  for (
    const [path, method, status] of [
      ["/old", "GET", 200],
      ["/OLD/", "HEAD", 200],
      ["/old?none", "GET", 404],
    ] as const
  ) {
    const response = await send(path, method);
    strictEqual(response.status, status);
    deepStrictEqual(headersOf(response), HEADERS, `${method} ${path}`);
    match(response.headers.get("x-request-id") ?? "", /^[\w-]{36}$/);
  }
});

Deno.test("no other response has these headers", async () => {
  const { send } = exampleService();
  for (const [path, method] of [["/new", "GET"], ["/old", "POST"], ["/nowhere", "GET"]] as const) {
    deepStrictEqual(headersOf(await send(path, method)), NONE, `${method} ${path}`);
  }
});

Deno.test("the log shows which account uses a deprecated operation, and a counter how often", async () => {
  const { send, lines, metrics } = exampleService();
  await send("/old");
  await send("/old?none");
  await send("/new");
  deepStrictEqual(
    lines.map(({ route, deprecated, user_id }) => ({ route, deprecated, user_id })),
    [
      { route: "/old", deprecated: true, user_id: USER },
      { route: "/old", deprecated: true, user_id: USER },
      { route: "/new", deprecated: undefined, user_id: undefined },
    ],
  );
  const counted = (await metrics.text()).split("\n")
    .filter((line) => line.startsWith("lotline_deprecated_requests_total"));
  deepStrictEqual(counted, ['lotline_deprecated_requests_total{operation="listAudits"} 2']);
});

Deno.test("the document of the routes marks the operation, its end and its headers", () => {
  const document = exampleService().app.router.getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: "", version: "" },
  });
  const [old, current] = [document.paths?.["/old"]?.get, document.paths?.["/new"]?.get];
  ok(old && current);
  deepStrictEqual([old.deprecated, old["x-sunset"]], [true, "2027-07-01"]);
  deepStrictEqual([current.deprecated, current["x-sunset"]], [undefined, undefined]);
  for (const status of ["200", "404"]) {
    deepStrictEqual(
      Object.keys(old.responses?.[status].headers),
      ["X-Request-Id", "Deprecation", "Sunset", "Link"],
    );
    deepStrictEqual(Object.keys(current.responses?.[status].headers), ["X-Request-Id"]);
  }
});

const BROKEN: [what: string, changed: Partial<Deprecation>, message: RegExp][] = [
  ["a date that is none", { since: "2026-13-01" }, /2026-13-01 is no date/],
  ["a time", { sunset: "2027-07-01T00:00:00Z" }, /is no date/],
  ["a sunset after less than half a year", { sunset: "2027-06-01" }, /less than 183 days after/],
  ["a sunset before the deprecation", { sunset: "2026-01-01" }, /less than 183 days after/],
];

for (const [what, changed, message] of BROKEN) {
  Deno.test(`a deprecation with ${what} is refused when the routes are made`, () => {
    throws(() => deprecationHeaders({ ...DEPRECATION, ...changed }), message);
  });
}
