import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { exchange, startPair } from "../testing/gateway_server.ts";
import { rawResponse } from "../../testing/raw_upstream.ts";

/* Request heads that are refused before an upstream sees them, and those that both see alike. */

const OK = rawResponse("200 OK", "ok");
const get = (target: string, headers = "", version = "HTTP/1.1") =>
  `GET ${target} ${version}\r\nHost: plant\r\nConnection: close\r\n${headers}\r\n`;
const post = (headers: string, version = "HTTP/1.1") =>
  `POST /x ${version}\r\nHost: plant\r\nConnection: close\r\n${headers}Content-Length: 1\r\n\r\na`;
const host = (value: string) => get("/").replace("plant", value);

const REFUSED: [what: string, request: string, status: number][] = [
  ["HTTP/0.9", get("/", "", "HTTP/0.9"), 505],
  ["HTTP/2.0", get("/", "", "HTTP/2.0"), 505],
  ["no version", "GET /\r\n\r\n", 505],
  ["chunks in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],
  ["an expectation that is none", post("Expect: a-miracle\r\n"), 417],
  ["an empty expectation", post("Expect:\r\n"), 417],
  ["two expectations that are none", post("Expect: a\r\nExpect: b\r\n"), 417],
  ["an expectation of a GET", get("/", "Expect: a\r\n"), 417],
  ["more headers than any client sends", get("/", "X: a\r\n".repeat(99)), 431],
  ["a path in its host", host("plant/api/lots?"), 400],
  ["a user in its host", host("me@plant"), 400],
  ["a space in its host", host("a b"), 400],
  ["letters beyond ASCII in its host", host("pl\xe4nt"), 400],
  ["two ports", host("plant:1:2"), 400],
  ["a port that there isn't", host("plant:65536"), 400],
  ["two types in one line", post("Content-Type: application/json, text/plain\r\n"), 400],
  ["no host in its target", get("http:///api/health"), 400],
  ["no host but a port in its target", get("http://:80/api/health"), 400],
  ["a user in its target", get("http://me@plant/api/health"), 400],
  ["a backslash in its target's host", get("http://plant\\api/health"), 400],
  ["a backslash in a target that names a host", get("http://plant/api/traceability/a\\b"), 400],
  ["a host that is none in its target", get("https://pl|ant/api/health"), 400],
];
for (const [what, request, status] of REFUSED) {
  Deno.test(`a request with ${what} is refused with ${status} before an upstream sees it`, async () => {
    await using pair = await startPair(OK);
    const received = await exchange(pair.server, request);
    match(received, RegExp(`^HTTP/1\\.1 ${status} [^]*\\r\\n\\r\\n\\{"error":"[^"]+"\\}$`));
    strictEqual(pair.upstream.received(), "");
  });
}

const PASSED: [what: string, request: string][] = [
  ["100 headers", get("/", "X: a\r\n".repeat(98))],
  ["an empty host", host("")],
  ["an IPv6 host", host("[::1]:80")],
  ["an underscore in its host", host("my_plant:8080")],
  ["a target that names a host", get("HTTP://Other:80/a?b")],
  ["a target that names a host alone", get("http://other?b")],
  ["an asterisk", get("*")],
  ["a comma in quotes in its type", get("/", 'Content-Type: a/b; c="d, e"\r\n')],
  ["bytes beyond ASCII in a header", get("/", "X: \xe9\x80\xff\r\n")],
];
for (const [what, request] of PASSED) {
  Deno.test(`a request with ${what} is passed on`, async () => {
    await using pair = await startPair(OK);
    match(await exchange(pair.server, request), /^HTTP\/1\.1 200 /);
    strictEqual(pair.upstream.requests[0]?.split("\r\n")[0], request.split("\r\n")[0]);
  });
}

// Node's server parses it the same way: `continueExpression` in its _http_common.js.
for (
  const value of ["100-continue", "100-Continue, x", "x; 100-continue", "x\r\nExpect: 100-continue"]
) {
  Deno.test(`Expect: ${JSON.stringify(value)} gets 100, and isn't forwarded`, async () => {
    await using pair = await startPair(OK);
    const received = await exchange(pair.server, post(`Expect: ${value}\r\n`));
    match(received, /^(?:HTTP\/1\.1 100 Continue\r\n\r\n)?HTTP\/1\.1 200 /);
    strictEqual(/expect/i.test(pair.upstream.received()), false);
  });
}

Deno.test("a client of HTTP/1.0 expects nothing", async () => {
  await using pair = await startPair(OK);
  const received = await exchange(pair.server, post("Expect: a-miracle\r\n", "HTTP/1.0"));
  match(received, /^HTTP\/1\.1 200 /);
  strictEqual(/expect/i.test(pair.upstream.received()), false);
});

// Node's server handles a header on two lines the same way: `matchKnownFields` in its
// _http_incoming.js.
const FIRST_COUNTS = [
  "Age",
  "Authorization",
  "Content-Type",
  "ETag",
  "Expires",
  "From",
  "If-Modified-Since",
  "If-Unmodified-Since",
  "Last-Modified",
  "Location",
  "Max-Forwards",
  "Referer",
  "Retry-After",
  "Server",
  "User-Agent",
];
Deno.test("of a header that Node accepts once, both upstreams get the first line, of others all", async () => {
  await using pair = await startPair(OK);
  const others = [
    "Accept",
    "Accept-Encoding",
    "Cookie",
    "If-None-Match",
    "Idempotency-Key",
    "Origin",
  ];
  const headers = [...FIRST_COUNTS, ...others]
    .map((name) => `${name}: 1\r\nX: x\r\n${name.toLowerCase()}: 2\r\n${name}: 1\r\n`).join("");
  await exchange(pair.server, post(headers));
  const lines = pair.upstream.received().split("\r\n");
  const values = (name: string) =>
    lines.filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
      .map((line) => line.split(": ")[1]).join();
  deepStrictEqual(FIRST_COUNTS.map(values), FIRST_COUNTS.map(() => "1"));
  deepStrictEqual(others.map(values), others.map(() => "1,2,1"));
});
