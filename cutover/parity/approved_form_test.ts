import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { outcomeOf } from "./verify.ts";
import type { Known } from "./recorded_pair.ts";
import type { ReceivedResponse } from "./exchange.ts";
import type { RecordedResponse } from "./recordings.ts";

const HEADERS = {
  "content-type": "application/json; charset=utf-8",
  "access-control-allow-origin": "*",
};
const known: Known = {
  given: "",
  recorded: { from: "2026-11-23T01:10:28.590Z", to: "2026-11-23T01:10:33.914Z" },
  actual: { from: "2027-03-01T12:00:00.000Z", to: "2027-03-01T12:00:10.000Z" },
  made: new Map(),
};
/** The faults of a response whose exchange is approved to have one of these statuses. */
function faultsOf(
  status: number[],
  response: RecordedResponse,
  received: ReceivedResponse,
  place?: "body.token",
) {
  const isLogin = place !== undefined;
  const request = { method: "POST", path: isLogin ? "/api/login" : "/api/lots", headers: {} };
  const entry = { id: "an-entry", reason: "x", approved: "2026-11-23", review: "2027-05-24" };
  const approvals = [{ ...entry, live: [], responses: [{ exchange: "a #0", status, place }] }];
  const outcome = outcomeOf("a #0", { request, response }, received, known, approvals);
  strictEqual(outcome.verdict, outcome.differences.length === 0 ? "approved" : "wrong");
  return outcome.differences;
}

const failed: RecordedResponse = { status: 500, headers: HEADERS, body: '{"error":"violates"}' };

function refused(change: Partial<ReceivedResponse> = {}): ReceivedResponse {
  const body = '{"error":"lot_code is missing"}';
  return { status: 422, headers: HEADERS, body, etag: undefined, ...change };
}

Deno.test("a refusal with one clear sentence, and details, has the approved form", () => {
  const details = '{"error":"refused","details":[{"path":"lot_code","message":"is missing"}]}';
  deepStrictEqual(faultsOf([422], failed, refused()), []);
  deepStrictEqual(faultsOf([422], failed, refused({ body: details })), []);
});

const NO_ORIGIN = { "content-type": HEADERS["content-type"] };
const REFUSED: [what: string, received: ReceivedResponse, line: RegExp][] = [
  ["a status that isn't named", refused({ status: 400 }), /^status: 500 -> 400/],
  ["no response", refused({ status: 0 }), /^no response: /],
  ["the old failure", refused({ status: 500 }), /^body\.error: /],
  ["an HTML page", refused({ body: "<pre>no</pre>" }), /no \{"error": text\}/],
  ["an empty error", refused({ body: '{"error":""}' }), /no \{"error": text\}/],
  ["an error that is no text", refused({ body: '{"error":{"a":1}}' }), /no \{"error": text\}/],
  ["more than an error", refused({ body: '{"error":"x","stack":[]}' }), /no \{"error": text\}/],
  ["another type", refused({ headers: { ...HEADERS, "content-type": "text/plain" } }), /content-t/],
  ["no CORS header", refused({ headers: NO_ORIGIN }), /access-control-allow-origin/],
  [
    "SQL in the text",
    refused({ body: '{"error":"syntax error at or near"}' }),
    /reveals internals/,
  ],
  [
    "a table's name",
    refused({ body: String.raw`{"error":"relation \"lots\""}` }),
    /reveals internals/,
  ],
  ["a constraint", refused({ body: '{"error":"lots_pkey constraint"}' }), /reveals internals/],
  ["a stack frame", refused({ body: '{"error":"at run (main.ts:1)"}' }), /reveals internals/],
];

for (const [what, response, line] of REFUSED) {
  Deno.test(`not the approved form: ${what}`, () => {
    match(faultsOf([422], failed, response).join("\n"), line);
  });
}

Deno.test("a 405 must name the allowed methods", () => {
  const headers = { ...HEADERS, allow: "GET, HEAD" };
  deepStrictEqual(
    faultsOf([405], failed, refused({ status: 405, headers })),
    [],
  );
  match(faultsOf([405], failed, refused({ status: 405 })).join(), /without Allow/);
});

const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
const SIGNATURE = "c2lnbmF0dXJlLW9mLXNvbWUtbGVuZ3Ro";
const jwt = (header: object, payload: object = { sub: "1" }, signature = SIGNATURE) =>
  `${encoded(header)}.${encoded(payload)}.${signature}`;
const login = (token: string, name = "Éva") =>
  `{"user":{"id":"1","full_name":"${name}"},"token":"${token}"}`;
const loggedIn: RecordedResponse = {
  status: 200,
  headers: HEADERS,
  body: login("mock"),
  etag: true,
};

const TOKENS: [what: string, change: Partial<ReceivedResponse>, line: RegExp][] = [
  ["an unsigned token", { body: login(jwt({ alg: "none" })) }, /^body\.token: /],
  ["a secret that others may guess", { body: login(jwt({ alg: "HS256" })) }, /^body\.token: /],
  ["no signature", { body: login(jwt({ alg: "EdDSA" }, { sub: "1" }, "")) }, /^body\.token: /],
  ["no subject", { body: login(jwt({ alg: "EdDSA" }, {})) }, /^body\.token: /],
  ["three words", { body: login("a.b.c") }, /^body\.token: /],
  ["another user", { body: login(jwt({ alg: "EdDSA" }), "Eva") }, /^body\.user\.full_name: /],
  ["no token", { body: '{"user":{"id":"1","full_name":"Éva"}}' }, /^body\.token: /],
  ["another header", { headers: { ...HEADERS, vary: "Origin" } }, /^header vary: /],
  ["no ETag", { etag: undefined }, /^header etag: /],
];

Deno.test("a login may replace its constant token by a signed one, and nothing else", () => {
  const response = {
    status: 200,
    headers: HEADERS,
    etag: 'W/"1"',
    body: login(jwt({ alg: "ES256" })),
  };
  deepStrictEqual(faultsOf([200], loggedIn, response, "body.token"), []);
  for (const [what, change, line] of TOKENS) {
    const faults = faultsOf([200], loggedIn, { ...response, ...change }, "body.token");
    match(faults.join("\n"), line, what);
  }
});

Deno.test("a success that changed outside its approved places is refused", () => {
  const other = { status: 200, headers: HEADERS, etag: 'W/"1"', body: login("other") };
  match(faultsOf([200], loggedIn, other).join("\n"), /form: body\.token may not change/);
});
