import { deepStrictEqual } from "node:assert/strict";
import { delay } from "../../timing.ts";
import { startLegacy } from "../legacy/server.ts";
import { loadSeed, resetToSeed } from "../../dev/seed.ts";
import { startApi } from "../../testing/api.ts";
import { freshDatabase } from "../../testing/database.ts";
import { eventually } from "../../testing/eventually.ts";
import { startTestGatewayServer } from "../testing/gateway_server.ts";
import { openRawClient } from "../../testing/raw_client.ts";
import { DRY_RUN_SECRET, shadowRig } from "../testing/shadow_rig.ts";

/*
 * Odd heads and framing, through a gateway that shadows the old server's stand-in: none is an
 * unapproved difference, and none keeps Lotline from responding.
 */

const database = await freshDatabase();
await resetToSeed(database.sql, await loadSeed());
const old = await startLegacy({ databaseUrl: database.url, port: 0 });
const lotline = await startApi({ databaseUrl: database.url, environment: { DRY_RUN_SECRET } });
const rig = shadowRig({ legacyUrl: old.url, serviceUrl: lotline.url });
const gateway = await startTestGatewayServer({
  legacyUrl: old.url,
  serviceUrl: lotline.url,
  mode: { name: "shadow" },
  comparer: rig.shadow,
});

Deno.test.afterAll(async () => {
  rig[Symbol.dispose]();
  for (const one of [gateway, lotline, old, database]) await one[Symbol.asyncDispose]();
});

let lots = 0;
const lot = () => JSON.stringify({ lot_code: `ODD-${++lots}`, lot_type: "RAW", weight_kg: "10" });
const JSON_LINE = "Content-Type: application/json\r\n";
const post = (headers: string, body = lot(), path = "/api/lots") =>
  `POST ${path} HTTP/1.1\r\nHost: plant\r\nConnection: close\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
const get = (headers: string, body = "", target = "/api/health") =>
  `GET ${target} HTTP/1.1\r\nHost: plant\r\nConnection: close\r\n${headers}\r\n${body}`;
const HOT = "/api/traceability/MIX-BATCH-88";
const chunked = (body: string) =>
  `POST /api/lots HTTP/1.1\r\nHost: plant\r\nConnection: close\r\n${JSON_LINE}Transfer-Encoding: chunked\r\n\r\n${body}`;
const sized = (body: string) => `Content-Length: ${body.length}\r\n`;

type Outcome = "same" | "approved" | "refused";
const ODD: [what: string, request: () => string, outcome: Outcome][] = [
  ["two types, JSON first", () => post(`${JSON_LINE}Content-Type: text/plain\r\n`), "same"],
  ["two types, JSON last", () => post(`Content-Type: text/plain\r\n${JSON_LINE}`), "approved"],
  [
    "two types in one line",
    () => post("Content-Type: application/json, text/plain\r\n"),
    "refused",
  ],
  ["an expectation", () => post(`${JSON_LINE}Expect: foo\r\n`), "refused"],
  ["100-continue", () => post(`${JSON_LINE}Expect: 100-continue\r\n`), "same"],
  ["100-continue among others", () => post(`${JSON_LINE}Expect: a, 100-continue\r\n`), "same"],
  ["a target that names a host", () => post(JSON_LINE, lot(), "http://other/api/lots"), "same"],
  ["a read that names a host", () => get("", "", `http://other:80${HOT}?a`), "same"],
  ["a query that looks like a path", () => get("", "", `http://other?${HOT}`), "refused"],
  ["a fragment", () => get("", "", `${HOT}#a`), "same"],
  ["a fragment in a write's target", () => post(JSON_LINE, lot(), "/api/lots#a"), "same"],
  ["no host in a target", () => get("", "", "http:///api/health"), "refused"],
  ["a host that is none", () => get("").replace("plant", "a/b"), "refused"],
  ["an empty host", () => get("").replace("plant", ""), "same"],
  ["a host that no URL has", () => get("").replace("plant", "a%zz"), "same"],
  ["HTTP/1.0 without a host", () => `GET ${HOT} HTTP/1.0\r\n\r\n`, "same"],
  ["HTTP/0.9", () => "GET /api/health HTTP/0.9\r\nHost: plant\r\n\r\n", "refused"],
  ["98 headers and two", () => get("X-Odd: 1\r\n".repeat(98)), "same"],
  ["15,500 bytes of headers", () => get(`X-Odd: ${"a".repeat(15_500)}\r\n`), "same"],
  ["a target of 15,500 bytes", () => get("", "", `/api/health?${"a".repeat(15_500)}`), "same"],
  ["16,200 bytes of headers", () => get(`X-Odd: ${"a".repeat(16_200)}\r\n`), "refused"],
  ["a target of 16,200 bytes", () => get("", "", `/api/health?${"a".repeat(16_200)}`), "refused"],
  ["a host of 9,000 letters", () => get("").replace("plant", "a".repeat(9_000)), "refused"],
  ["101 headers", () => get("X-Odd: 1\r\n".repeat(99)), "refused"],
  ["bytes beyond ASCII", () => post(`${JSON_LINE}X-Odd: \xe9\x80\xff\r\n`), "same"],
  ["empty values", () => post(`${JSON_LINE}Accept:\r\nX-Odd:\r\nUser-Agent:\r\n`), "same"],
  ["spaces around a type", () => post("Content-Type: \t application/json \t \r\n"), "same"],
  ["two lines of everything else", () =>
    get(
      "Accept: a\r\nAccept: b\r\nIf-None-Match: a\r\nIf-None-Match: b\r\nOrigin: a\r\nOrigin: b\r\n" +
        "Cache-Control: no-cache\r\nCache-Control: a\r\nCookie: a\r\nCookie: b\r\nUser-Agent: a\r\n" +
        "User-Agent: b\r\nIf-Modified-Since: a\r\nIf-Modified-Since: b\r\nAuthorization: a\r\n" +
        "Authorization: b\r\nX-Forwarded-For: a\r\nX-Forwarded-For: b\r\n",
      "",
      HOT,
    ), "same"],
  [
    "a header that Connection names",
    () => post(`${JSON_LINE}Connection: content-type\r\n`),
    "approved",
  ],
  ["a body of a GET", () => get(`${JSON_LINE}${sized("{}")}`, "{}"), "same"],
  ["a broken body of a GET", () => get(`${JSON_LINE}${sized("{a}")}`, "{a}"), "approved"],
  ["a broken body of a trace", () => get(`${JSON_LINE}${sized("{a}")}`, "{a}", HOT), "approved"],
  [
    "a broken body of HEAD",
    () => get(`${JSON_LINE}${sized("{a}")}`, "{a}", HOT).replace("GET", "HEAD"),
    "approved",
  ],
  [
    "a broken body of a trace of nothing",
    () => get(`${JSON_LINE}${sized("{a}")}`, "{a}", "/api/traceability/NONE"),
    "approved",
  ],
  [
    "a GET's body in another charset",
    () => get(`Content-Type: application/json; charset=x\r\n${sized("{}")}`, "{}"),
    "approved",
  ],
  ["a GET's body that is too large", () => {
    const body = `{"a":"${"a".repeat(110_000)}"}`;
    return get(`${JSON_LINE}${sized(body)}`, body);
  }, "approved"],
  [
    "a GET's body in chunks",
    () => get(`${JSON_LINE}Transfer-Encoding: chunked\r\n`, "3\r\n{a}\r\n0\r\n\r\n"),
    "approved",
  ],
  [
    "chunks of one byte",
    () => chunked([...lot()].map((letter) => `1\r\n${letter}\r\n`).join("") + "0\r\n\r\n"),
    "same",
  ],
  ["chunk extensions and trailers", () => {
    const body = lot();
    return chunked(`${body.length.toString(16)};a="b"\r\n${body}\r\n0;c\r\nT: 1\r\n\r\n`);
  }, "same"],
  ["an empty body in chunks", () => chunked("0\r\n\r\n"), "approved"],
  ["no length", () => get(JSON_LINE, "", "/api/lots").replace("GET", "POST"), "approved"],
  ["a length of 0", () => post(JSON_LINE, ""), "approved"],
  ["an empty type", () => post("Content-Type:\r\n"), "approved"],
  ["no type", () => post(""), "approved"],
  ["a type in capitals", () => post("CONTENT-TYPE: APPLICATION/JSON\r\n"), "same"],
  ["a type with a parameter", () => post("Content-Type: application/json; x=y\r\n"), "same"],
  ["a type with a semicolon", () => post("Content-Type: application/json;\r\n"), "approved"],
  ["a type with two semicolons", () => post("Content-Type: application/json;;\r\n"), "approved"],
  [
    "a type with a letter beyond ASCII",
    () => post("Content-Type: application/json; x=\xe9\r\n"),
    "approved",
  ],
  [
    "two idempotency keys",
    () => post(`${JSON_LINE}Idempotency-Key: a\r\nIdempotency-Key: b\r\n`),
    "approved",
  ],
  ["an empty idempotency key", () => post(`${JSON_LINE}Idempotency-Key:\r\n`), "approved"],
  [
    "a charset in quotes",
    () => post('Content-Type: application/json; charset="utf-8"\r\n'),
    "same",
  ],
  [
    "two charsets",
    () => post("Content-Type: application/json; charset=utf-8; charset=x\r\n"),
    "approved",
  ],
  ["an empty coding", () => post(`${JSON_LINE}Content-Encoding:\r\n`), "same"],
  ["a coding of none", () => post(`${JSON_LINE}Content-Encoding: Identity\r\n`), "same"],
  [
    "two codings",
    () => post(`${JSON_LINE}Content-Encoding: identity\r\nContent-Encoding: identity\r\n`),
    "approved",
  ],
  ["a coding that isn't there", () => post(`${JSON_LINE}Content-Encoding: gzip\r\n`), "approved"],
  ["a range", () => get("Range: bytes=0-1\r\n", "", HOT), "same"],
  ["any tag", () => get("If-None-Match: *\r\n", "", HOT), "same"],
  ["any tag among others", () => get('If-None-Match: "a", *\r\n', "", HOT), "same"],
  ["If-Match", () => get('If-Match: "a"\r\n', "", HOT), "same"],
  ["a condition of a write", () => post(`${JSON_LINE}If-None-Match: *\r\n`), "same"],
  ["another method said", () => post(`${JSON_LINE}X-HTTP-Method-Override: GET\r\n`), "same"],
  ["an origin", () => get("Origin: https://plant\r\n"), "same"],
  ["an origin of bytes", () => get("Origin: \xe9\r\n"), "same"],
  ["a token of bytes", () => post(`${JSON_LINE}Authorization: Bearer \xe9\r\n`), "same"],
  ["an address that is none", () => post(`${JSON_LINE}X-Forwarded-For: \xe9, a\r\n`), "same"],
  ["an id of bytes", () => post(`${JSON_LINE}X-Request-Id: \xe9\r\n`), "same"],
  ["a cookie", () => post(`${JSON_LINE}Cookie: \xe9\r\n`), "same"],
  ["tabs in a value", () => post(`${JSON_LINE}X-Odd: a\tb\r\n`), "same"],
  ["every letter of a name", () => get("!#$%&'*+.^_`|~-: 1\r\n"), "same"],
  ["names of objects", () => get("__proto__: 1\r\nconstructor: 1\r\ntoString: 1\r\n"), "same"],
  [
    "Accept that excludes JSON",
    () => get("Accept: text/html\r\n", "", "/api/traceability/NONE"),
    "same",
  ],
  ["TE", () => post(`${JSON_LINE}TE: trailers, deflate\r\nTrailer: X\r\n`), "same"],
  [
    "a login with two types",
    () => post(`${JSON_LINE}Content-Type: a/b\r\n`, '{"email":"admin@flowviz.com"}', "/api/login"),
    "approved",
  ],
  [
    "a login without a type",
    () => post("", '{"email":"admin@flowviz.com"}', "/api/login"),
    "same",
  ],
  ["letters of a target", () => get("", "", "/api/traceability/a|b{}^`\"<>\\'"), "same"],
  ["escapes of a target", () => get("", "", "/API/traceability/%4d%49X-BATCH-88/"), "same"],
  ["a target of bad escapes", () => get("", "", "/api/traceability/%zz"), "approved"],
  ["a query of everything", () => get("", "", "/api/health?a[b][__proto__]=c&%zz&&=#"), "same"],
  ["a backslash and a fragment", () => get("", "", "/api/traceability/a\\b#c"), "approved"],
  ["a fragment with a question mark", () => get("", "", `${HOT}#a?b`), "same"],
  ["a percent in a fragment", () => get("", "", `${HOT}#%zz`), "same"],
  ["https in a target", () => get("", "", `https://plant${HOT}`), "same"],
  ["a semicolon in a target", () => get("", "", `${HOT};a=b`), "same"],
  ["a dot at the end", () => get("", "", `${HOT}/.`), "refused"],
  ["an upgrade", () => post(`${JSON_LINE}Upgrade: h2c\r\n`), "same"],
];

for (const [what, request, expected] of ODD) {
  Deno.test(`${what}: ${expected}`, async () => {
    const { findings } = rig;
    findings.length = 0;
    using client = openRawClient(gateway.port, request());
    const received = await client.ended;
    const status = received.split("HTTP/1.1 ").at(-1)?.slice(0, 3);
    const found = () =>
      findings.map(({ outcome, differences }) =>
        outcome === "different" ? JSON.stringify(differences) : outcome
      );
    if (expected !== "refused") {
      await eventually("it is compared", () => findings.length > 0);
    } else await delay(50);
    deepStrictEqual(found(), expected === "refused" ? [] : [expected], `${status} ${received}`);
  });
}
