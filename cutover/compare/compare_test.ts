import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { captured, pairOf, responseOf } from "../testing/captured.ts";
import { digestOf } from "../exchange/body_capture.ts";
import { bodyDifferences } from "./json_diff.ts";
import { parseLosslessJson } from "../exchange/lossless_json.ts";
import { changesBetween, compare, MAX_DIFFERENCES } from "./compare.ts";
import type { CapturedResponse } from "../exchange/exchange.ts";
import type { LegacyOperation } from "../exchange/operations.ts";

const get = captured("GET", "/api/traceability/A");
const lot = (code: string, weight = '"540.0"', more = "") =>
  `{"id":"id-${code}","lot_code":"${code}","weight_kg":${weight},"metadata":{"n":1.50}${more}}`;
const trace = (
  parents: string[],
  children: string[] = [],
  central = lot("A"),
) => `{"central":${central},"parents":[${parents}],"children":[${children}]}`;

function placesOf(operation: LegacyOperation, legacy: CapturedResponse, service: CapturedResponse) {
  return compare(pairOf(operation, get, legacy, service), []).differences;
}

const page = (frames: string) =>
  responseOf(
    400,
    `<!DOCTYPE html>\n<html lang="en"><title>Error</title><pre>URIError: no${frames}</pre>`,
    { "content-type": "text/html; charset=utf-8" },
  );
const compressed = (body: string, headers: Record<string, string | undefined> = {}) => ({
  ...responseOf(200, "", { "content-encoding": "gzip", ...headers }),
  body: new Uint8Array(gzipSync(body)),
});
const P = [lot("P1"), lot("P2"), lot("P2"), lot("P3")];

const SAME: [what: string, legacy: CapturedResponse, service: CapturedResponse][] = [
  ["the same bytes", responseOf(200, trace(P)), responseOf(200, trace(P))],
  ["parents in another order", responseOf(200, trace(P)), responseOf(200, trace(P.toReversed()))],
  [
    "children in another order",
    responseOf(200, trace([], P)),
    responseOf(200, trace([], P.toReversed())),
  ],
  ["spaces", responseOf(200, trace(P)), responseOf(200, trace(P).replaceAll(",", ", "))],
  ["escapes", responseOf(200, '{"a":"é"}'), responseOf(200, String.raw`{"a":"\u00e9"}`)],
  ["stack frames on an error page", page("<br> &nbsp; &nbsp;at x (/a.js:1)"), page("")],
  ["not modified", responseOf(304, ""), responseOf(304, "")],
  [
    "a header that depends on the server",
    responseOf(200, "{}", { server: "a" }),
    responseOf(200, "{}"),
  ],
  [
    "headers of a proxy, of the connection and of the length",
    responseOf(200, "{}", {
      server: "nginx/1.26.3",
      via: "1.1 proxy",
      connection: "keep-alive",
      "keep-alive": "timeout=5",
      "transfer-encoding": "chunked",
      "accept-ranges": "none",
      "x-request-id": "1",
      "strict-transport-security": "max-age=300",
    }),
    responseOf(200, "{}", { "content-length": "2", "x-request-id": "2" }),
  ],
  [
    "a Vary in another order, in capitals, twice",
    responseOf(200, "{}", { vary: "Origin, ACCEPT, accept" }),
    responseOf(200, "{}", { vary: "accept,origin" }),
  ],
  [
    "a Vary by Accept-Encoding",
    responseOf(200, "{}", { vary: "Origin, Accept-Encoding" }),
    responseOf(200, "{}", { vary: "Origin" }),
  ],
  [
    "headers of the contract that Lotline exposes to scripts",
    responseOf(200, "{}"),
    responseOf(200, "{}", { "access-control-expose-headers": "ETag, X-Request-Id" }),
  ],
  ["a Vary that names nothing", responseOf(200, "{}", { vary: "" }), responseOf(200, "{}")],
  [
    "a Vary by everything",
    responseOf(200, "{}", { vary: "Origin, *" }),
    responseOf(200, "{}", { vary: "*" }),
  ],
  [
    "letters of a header's name",
    responseOf(200, "{}", { vary: "Origin" }),
    responseOf(200, "{}", { Vary: "Origin" }),
  ],
  [
    "a compressed body",
    responseOf(200, trace(P)),
    compressed(trace(P)),
  ],
  [
    "a compressed body and an ETag that compressing changed",
    responseOf(200, trace(P)),
    compressed(trace(P), { etag: '"a-b-gzip"', vary: "Accept-Encoding" }),
  ],
  [
    "a compressed body and an ETag that compressing dropped",
    responseOf(200, trace(P)),
    compressed(trace(P), { etag: undefined }),
  ],
  ["two compressed bodies", compressed(trace(P)), compressed(trace(P.toReversed()))],
];

for (const [what, legacy, service] of SAME) {
  Deno.test(`the same: ${what}`, () => {
    deepStrictEqual(placesOf("getTraceability", legacy, service), []);
    deepStrictEqual(placesOf("getTraceability", service, legacy), []);
  });
}

const central = (from: string, to: string) => trace(P, [], lot("A").replace(from, to));
const DIFFERENT: [
  what: string,
  service: CapturedResponse,
  place: string,
  legacy: string | undefined,
  says: string | undefined,
][] = [
  ["another status", responseOf(203, trace(P)), "status", "200", "203"],
  [
    "another scale",
    responseOf(200, central("540.0", "540.00")),
    "body.central.weight_kg",
    '"540.0"',
    '"540.00"',
  ],
  [
    "another scale of a number",
    responseOf(200, central("1.50", "1.5")),
    "body.central.metadata.n",
    "1.50",
    "1.5",
  ],
  [
    "a number for text",
    responseOf(200, central('"540.0"', "540.0")),
    "body.central.weight_kg",
    '"540.0"',
    "540.0",
  ],
  [
    "an additional field",
    responseOf(200, central('"id"', '"x":1,"id"')),
    "body.central.x",
    undefined,
    "1",
  ],
  [
    "an odd field",
    responseOf(200, central('"id"', '"a.b":1,"id"')),
    'body.central["a.b"]',
    undefined,
    "1",
  ],
  [
    "a missing field",
    responseOf(200, central('"id":"id-A",', "")),
    "body.central.id",
    '"id-A"',
    undefined,
  ],
  [
    "keys in another order",
    responseOf(200, central('"id":"id-A","lot_code":"A"', '"lot_code":"A","id":"id-A"')),
    "body.central (order of keys)",
    "id, lot_code, weight_kg, metadata",
    "lot_code, id, weight_kg, metadata",
  ],
  [
    "one number in a parent, in another order",
    responseOf(200, trace([lot("P3", '"1"'), lot("P2"), lot("P1"), lot("P2")])),
    "body.parents[3].weight_kg",
    '"540.0"',
    '"1"',
  ],
  [
    "a parent that is listed once less",
    responseOf(200, trace([lot("P1"), lot("P2"), lot("P3")])),
    "body.parents[2]",
    lot("P2"),
    undefined,
  ],
  [
    "a parent that is listed once more",
    responseOf(200, trace([...P, lot("P1")])),
    "body.parents[4]",
    undefined,
    lot("P1"),
  ],
  ["a list for an object", responseOf(200, `[${trace(P)}]`), "body", trace(P), `[${trace(P)}]`],
  ["no JSON", responseOf(200, "x"), "body", trace(P), "x"],
  ["a BOM", responseOf(200, "\uFEFF" + trace(P)), "body", trace(P), "\uFEFF" + trace(P)],
  [
    "a missing header",
    responseOf(200, trace(P), { "access-control-allow-origin": undefined }),
    "header access-control-allow-origin",
    "*",
    undefined,
  ],
  [
    "another header that one server alone exposes to scripts",
    responseOf(200, trace(P), { "access-control-expose-headers": "X-Plant, ETag" }),
    "header access-control-expose-headers",
    undefined,
    "X-Plant, ETag",
  ],
  ["an additional header", responseOf(200, trace(P), { vary: "a" }), "header vary", undefined, "a"],
  ["a Vary by everything", responseOf(200, trace(P), { vary: "*" }), "header vary", undefined, "*"],
  [
    "an ETag with the name of a coding that isn't there",
    responseOf(200, trace(P), { etag: 'W/"a-b-gzip"' }),
    "header etag",
    'W/"a-b"',
    'W/"a-b-gzip"',
  ],
  [
    "an ETag with the name of another coding",
    compressed(trace(P), { etag: 'W/"a-b-br"' }),
    "header etag",
    'W/"a-b"',
    'W/"a-b-br"',
  ],
  [
    "another ETag of a compressed response",
    compressed(trace(P), { etag: '"x-gzip"' }),
    "header etag",
    'W/"a-b"',
    '"x-gzip"',
  ],
  ["no ETag", responseOf(200, trace(P), { etag: undefined }), "header etag", 'W/"a-b"', undefined],
  [
    "a strong ETag",
    responseOf(200, trace(P), { etag: '"a-b"' }),
    "header etag",
    'W/"a-b"',
    '"a-b"',
  ],
  [
    "another ETag for the same bytes",
    responseOf(200, trace(P), { etag: 'W/"x"' }),
    "header etag",
    'W/"a-b"',
    'W/"x"',
  ],
];

Deno.test("found: an error without the ETag that the old server sent with it", () => {
  const legacy = responseOf(404, "{}", { etag: 'W/"1"' });
  const service = responseOf(404, "{}", { etag: undefined });
  const found = placesOf("getTraceability", legacy, service);
  deepStrictEqual(found, [{ place: "header etag", legacy: 'W/"1"' }]);
});

for (const [what, service, place, legacy, says] of DIFFERENT) {
  Deno.test(`found: ${what}`, () => {
    const found = placesOf("getTraceability", responseOf(200, trace(P)), service);
    deepStrictEqual(found, [{
      place,
      ...(legacy !== undefined && { legacy }),
      ...(says !== undefined && { service: says }),
    }]);
  });
}

Deno.test("ordered lists are compared in order, also other lists with the name of an unordered one", () => {
  const places = (was: string, is: string) =>
    placesOf("getTraceability", responseOf(200, was), responseOf(200, is)).map(({ place }) =>
      place
    );
  deepStrictEqual(places('{"a":[1,2]}', '{"a":[2,1]}'), ["body.a[0]", "body.a[1]"]);
  const inside = (list: string) => `{"central":{"metadata":{"parents":${list}}}}`;
  deepStrictEqual(places(inside("[1,2]"), inside("[2,1]")).length, 2);
  const lots = placesOf(
    "createLot",
    responseOf(200, trace(P)),
    responseOf(200, trace(P.toReversed())),
  );
  ok(lots.length > 0);
});

Deno.test("the number of reported differences and the length of their texts have a bound", () => {
  const many = (value: number) =>
    JSON.stringify(Array.from({ length: 500 }, () => "x".repeat(5_000) + value));
  const found = placesOf("getHealth", responseOf(200, many(1)), responseOf(200, many(2)));
  strictEqual(found.length, MAX_DIFFERENCES);
  ok(
    found.every(({ legacy = "", service = "" }) =>
      legacy.length <= 4_000 && service.length <= 4_000
    ),
  );
});

Deno.test("differences beyond the bound aren't even collected", () => {
  const list = (value: number) =>
    parseLosslessJson(`{${[1, 2, 3].map((n) => `"${value}${n}":1`)}}`);
  const [was, is] = [list(1), list(2)];
  const found = was && is &&
    bodyDifferences(was, is, { unordered: new Set() }, 3);
  strictEqual(found?.length, 3);
});

Deno.test("two signed tokens for one user from one upstream are the same", () => {
  const token = (sub: string, end: string) => {
    const part = (value: object) => btoa(JSON.stringify(value)).replaceAll("=", "");
    return `${part({ alg: "EdDSA" })}.${part({ sub })}.${"s".repeat(40)}${end}`;
  };
  const session = (sub: string, end: string) =>
    responseOf(200, `{"user":{"id":"1"},"token":"${token(sub, end)}"}`);
  const request = captured("POST", "/api/login", '{"email":"a@b.example"}');
  const at = pairOf("login", request, session("1", "a"), session("1", "b"));
  deepStrictEqual(changesBetween(at.legacy, at.service, at), []);
  deepStrictEqual(
    changesBetween(at.legacy, session("2", "b"), at).map(({ place }) => place),
    ["body.token"],
  );
});

const digested = (text: string, more: Partial<CapturedResponse> = {}): CapturedResponse => ({
  ...responseOf(200, ""),
  digest: digestOf({ body: new TextEncoder().encode(text) }),
  ...more,
});
const HUGE: [
  what: string,
  legacy: CapturedResponse,
  service: CapturedResponse,
  outcome: string,
  places?: string[],
][] = [
  ["the same digest", digested(trace(P)), digested(trace(P)), "same"],
  [
    "a body that was captured from only one upstream",
    digested(trace(P)),
    responseOf(200, trace(P)),
    "same",
  ],
  ["the same length", digested(trace(P)), digested(trace(P.toReversed())), "lost"],
  ["half the length", digested("x".repeat(100)), digested("x".repeat(50)), "lost"],
  ["less than half", digested("x".repeat(101)), digested("x".repeat(50)), "different", ["body"]],
  [
    "another header",
    digested(trace(P)),
    digested(trace(P), responseOf(200, "", { vary: "Origin" })),
    "different",
    ["header vary"],
  ],
  [
    "another status",
    digested(trace(P)),
    responseOf(404, '{"error":"x"}'),
    "different",
    ["status", "header etag", "body"],
  ],
  [
    "too many links, as far as is known",
    digested(trace(P)),
    responseOf(413, '{"error":"x"}'),
    "lost",
  ],
];
for (const [what, legacy, service, outcome, places = []] of HUGE) {
  Deno.test(`of bodies too large to capture, ${what}: ${outcome}`, () => {
    const found = compare(pairOf("getTraceability", get, legacy, service), []);
    strictEqual(found.outcome, outcome);
    deepStrictEqual(found.differences.map(({ place }) => place), places);
  });
}
