import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { REQUIRED, startApi } from "../testing/api.ts";
import { apiOnSeed } from "../testing/api_on_seed.ts";

/*
 * The headers that browsers get, over HTTP; cors_test.ts and similar tests have the rules
 * themselves.
 */

const PLANT = "https://plant.example";
const OTHER = "https://other.example";
const { api, databaseUrl } = await apiOnSeed({
  ...REQUIRED,
  CORS_ORIGINS: PLANT,
  TRUSTED_PROXIES: "127.0.0.1",
});

const REQUESTS: [method: string, path: string, status: number][] = [
  ["GET", "/api/health", 200],
  ["HEAD", "/api/health", 200],
  ["GET", "/api/traceability/MIX-BATCH-88", 401],
  ["POST", "/api/login", 401],
  ["GET", "/nothing", 404],
  ["DELETE", "/api/lots", 405],
  ["OPTIONS", "/api/lots", 204],
  ["GET", "/docs", 200],
  ["GET", "/openapi.yaml", 200],
];

for (const [method, path, status] of REQUESTS) {
  const send = async (headers: HeadersInit = {}) => {
    const response = await api.send(path, { method, headers });
    strictEqual(response.status, status);
    return response.headers;
  };

  Deno.test(`${method} ${path}: scripts of a listed origin may read the response, others not`, async () => {
    const listed = await send({ origin: PLANT });
    strictEqual(listed.get("access-control-allow-origin"), PLANT);
    match(listed.get("vary") ?? "", /\bOrigin\b/);
    for (const headers of [{ origin: OTHER }, {}] as HeadersInit[]) {
      const response = await send(headers);
      strictEqual(response.get("access-control-allow-origin"), null);
      match(response.get("vary") ?? "", /\bOrigin\b/);
    }
  });

  Deno.test(`${method} ${path}: scripts of a listed origin may read the request's id`, async () => {
    for (const [origin, isListed] of [[PLANT, true], [OTHER, false], ["", false]] as const) {
      const headers = await send(origin === "" ? {} : { origin });
      match(headers.get("x-request-id") ?? "", /^[0-9a-f-]{36}$/);
      const exposed = headers.get("access-control-expose-headers")?.split(", ") ?? [];
      strictEqual(exposed.includes("X-Request-Id"), isListed && method !== "OPTIONS", origin);
    }
  });

  Deno.test(`${method} ${path}: the response can't be framed or sniffed, and sends no referrer`, async () => {
    const headers = await send();
    deepStrictEqual(
      ["x-content-type-options", "x-frame-options", "referrer-policy"].map((name) =>
        headers.get(name)
      ),
      ["nosniff", "DENY", "no-referrer"],
    );
    match(headers.get("content-security-policy") ?? "", /frame-ancestors 'none'/);
    strictEqual(headers.get("strict-transport-security"), null);
    const overTls = await send({ "x-forwarded-proto": "https" });
    strictEqual(overTls.get("strict-transport-security"), "max-age=31536000");
  });
}

Deno.test("a preflight from a listed origin may send a token, one from another origin nothing", async () => {
  const preflight = async (origin: string) => {
    const response = await api.send("/api/lots", {
      method: "OPTIONS",
      headers: { origin, "access-control-request-headers": "authorization" },
    });
    return response.headers.get("access-control-allow-headers");
  };
  deepStrictEqual([await preflight(PLANT), await preflight(OTHER)], ["authorization", null]);
});

Deno.test("a client that isn't a trusted proxy can't claim TLS", async () => {
  await using open = await startApi({ databaseUrl });
  const { headers } = await open.get("/api/health", { "x-forwarded-proto": "https" });
  strictEqual(headers.get("strict-transport-security"), null);
  strictEqual(headers.get("access-control-allow-origin"), "*");
});
