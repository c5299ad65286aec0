import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { RESPONSE_HEADERS } from "../contract/response_headers.ts";
import { allowOrigin, corsPolicy, exposeHeaders, preflight } from "./cors.ts";

const PLANT = "https://plant.example";
const LISTED = corsPolicy([PLANT, "http://localhost:5173"]);

function allowed(policy: ReturnType<typeof corsPolicy>, origin: string | null) {
  const headers = new Headers();
  allowOrigin(headers, policy, origin);
  return Object.fromEntries(headers);
}

function options(policy: ReturnType<typeof corsPolicy>, headers: Record<string, string>) {
  const response = preflight(new Request("http://x/", { method: "OPTIONS", headers }), policy);
  return { status: response.status, headers: Object.fromEntries(response.headers) };
}

Deno.test("where every site may call, the response says * for every origin and for none", () => {
  for (const setting of ["*", "any-site"] as const) {
    for (const origin of [PLANT, "null", null]) {
      deepStrictEqual(allowed(corsPolicy(setting), origin), { "access-control-allow-origin": "*" });
    }
  }
});

Deno.test("a listed origin is allowed by its name, with Vary for caches", () => {
  for (const origin of [PLANT, "http://localhost:5173"]) {
    deepStrictEqual(allowed(LISTED, origin), {
      "access-control-allow-origin": origin,
      vary: "Origin",
    });
  }
});

Deno.test("an origin that only resembles a listed one is not allowed", () => {
  const others = [
    "http://plant.example",
    "https://plant.example:8443",
    "https://plant.example.evil.example",
    "https://evil.example/https://plant.example",
    "https://PLANT.example",
    "https://plant.example/",
    "null",
    "*",
    "",
    null,
  ];
  for (const origin of others) deepStrictEqual(allowed(LISTED, origin), { vary: "Origin" });
});

Deno.test("with an empty list no site may call", () => {
  deepStrictEqual(allowed(corsPolicy([]), PLANT), { vary: "Origin" });
});

Deno.test("an existing Vary stays", () => {
  const headers = new Headers({ vary: "Accept" });
  allowOrigin(headers, LISTED, PLANT);
  strictEqual(headers.get("vary"), "Accept, Origin");
});

const ALLOWED = {
  "access-control-allow-methods": "GET,HEAD,PUT,PATCH,POST,DELETE",
  vary: "Access-Control-Request-Headers",
};

Deno.test("a preflight has the old server's response, and repeats the requested headers", () => {
  deepStrictEqual(options(corsPolicy("*"), {}), { status: 204, headers: ALLOWED });
  deepStrictEqual(
    options(corsPolicy("*"), { "access-control-request-headers": "authorization, x-a" }),
    { status: 204, headers: { ...ALLOWED, "access-control-allow-headers": "authorization, x-a" } },
  );
});

Deno.test("a preflight from a listed origin gets the allowed methods and headers, another one nothing", () => {
  const requested = { "access-control-request-headers": "authorization" };
  deepStrictEqual(options(LISTED, { ...requested, origin: PLANT }), {
    status: 204,
    headers: { ...ALLOWED, "access-control-allow-headers": "authorization" },
  });
  for (const origin of ["https://evil.example", undefined]) {
    deepStrictEqual(options(LISTED, { ...requested, ...(origin && { origin }) }), {
      status: 204,
      headers: { vary: "Access-Control-Request-Headers" },
    });
  }
});

Deno.test("the contract's headers are exposed to scripts of an allowed origin, and nothing without one", () => {
  const exposed = (policy: ReturnType<typeof corsPolicy>, origin: string | null) => {
    const headers = new Headers();
    allowOrigin(headers, policy, origin);
    exposeHeaders(headers, origin);
    return headers.get("access-control-expose-headers");
  };
  const all = RESPONSE_HEADERS.join(", ");
  deepStrictEqual([exposed(corsPolicy("*"), PLANT), exposed(LISTED, PLANT)], [all, all]);
  deepStrictEqual(
    [exposed(corsPolicy("*"), null), exposed(LISTED, "https://evil.example")],
    [null, null],
  );
});
