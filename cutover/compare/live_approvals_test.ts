import { deepStrictEqual, match, ok, rejects, strictEqual, throws } from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { parseApprovals } from "./approvals.ts";
import { captured, pairOf, responseOf } from "../testing/captured.ts";
import { liveVerdict as verdict } from "../testing/live_verdict.ts";
import { compare } from "./compare.ts";
import type { CapturedRequest, CapturedResponse } from "../exchange/exchange.ts";
import { loadLiveRules } from "./approvals.ts";
import type { LegacyOperation } from "../exchange/operations.ts";

const rules = await loadLiveRules();

const failed = (words: string) => responseOf(500, JSON.stringify({ error: words }));
const refused = (status = 422, headers = {}) => responseOf(status, '{"error":"No."}', headers);
const naming = (key: string) =>
  responseOf(422, JSON.stringify({ error: `${key} is not a field of this request` }));
const stored = responseOf(201, '{"id":"0d9c7b1a-3a77-4b1c-8f0e-6a2f3e4d5c6b"}');
const page = responseOf(
  400,
  '<!DOCTYPE html>\n<html lang="en"><title>Error</title><pre>SyntaxError: x</pre></html>',
  { "content-type": "text/html; charset=utf-8" },
);
const lot = (body: unknown) =>
  captured("POST", "/api/lots", typeof body === "string" ? body : JSON.stringify(body));
const decision = (body: unknown) => captured("POST", "/api/qc-decisions", JSON.stringify(body));
const TAKEN = 'duplicate key value violates unique constraint "lots_lot_code_key"';
const REFERENCE =
  'insert or update on table "lots" violates foreign key constraint "lots_phase_id_fkey"';
const CHECK = 'new row for relation "lots" violates check constraint "lots_lot_type_check"';
const MISSING = 'null value in column "lot_code" of relation "lots" violates not-null constraint';
const COLUMN = 'column "colour" of relation "lots" does not exist';
const SYNTAX = 'syntax error at or near ")"';
const NUL = 'invalid byte sequence for encoding "UTF8": 0x00';
const NO_JSON = "invalid input syntax for type json";

type Case = [
  approval: string,
  operation: LegacyOperation,
  request: CapturedRequest,
  legacy: CapturedResponse,
  service: CapturedResponse,
];

const HOT = captured("GET", "/api/traceability/HOT");
const traceOf = (parents: number, children: number) =>
  responseOf(
    200,
    JSON.stringify({
      central: {},
      parents: Array(parents).fill({}),
      children: Array(children).fill({}),
    }),
  );
const L = { lot_code: "L-1" };
const BROKEN_BODY = { ...HOT, body: new TextEncoder().encode("{a}") };
const HEALTH = responseOf(200, "{}", { etag: 'W/"2-a"' });
const APPROVED: Case[] = [
  ["get-bodies", "getTraceability", BROKEN_BODY, page, traceOf(1, 1)],
  ["get-bodies", "getTraceability", BROKEN_BODY, { ...page, status: 413 }, refused(404)],
  [
    "get-bodies",
    "getHealth",
    captured("GET", "/api/health", "", [["Content-Length", "0"]]),
    { ...page, status: 415 },
    HEALTH,
  ],
  ["get-bodies", "getHealth", { ...BROKEN_BODY, method: "HEAD" }, { ...page, status: 415 }, HEALTH],
  ["json-errors", "createLot", lot("{"), page, refused(400)],
  ["json-errors", "login", captured("POST", "/api/login", "{"), page, refused(400)],
  [
    "json-errors",
    "getTraceability",
    captured("HEAD", "/api/traceability/%E0"),
    { ...page, body: new Uint8Array() },
    responseOf(400, ""),
  ],
  [
    "method-not-allowed",
    "createLot",
    captured("DELETE", "/api/lots"),
    { ...page, status: 404 },
    refused(405, { allow: "POST, OPTIONS" }),
  ],
  ["client-fault", "createLot", lot(L), failed(TAKEN), refused(409)],
  ["client-fault", "createLot", lot(L), failed(REFERENCE), refused(409)],
  ["client-fault", "createLot", lot(L), failed(CHECK), refused(422)],
  ["client-fault", "createLot", lot({}), failed(SYNTAX), refused(422)],
  ["client-fault", "createLot", lot([]), failed(SYNTAX), refused(422)],
  ["client-fault", "createLot", lot({ lot_code: null }), failed(MISSING), refused(422)],
  ["client-fault", "createLot", lot({ ...L, colour: "red" }), failed(COLUMN), refused(422)],
  [
    "client-fault",
    "createLot",
    captured("POST", "/api/lots", "x", [["content-type", "text/plain"]]),
    failed(SYNTAX),
    refused(415),
  ],
  ["client-fault", "createQcDecision", decision({ decision: "pass" }), failed(CHECK), refused(422)],
  [
    "client-fault",
    "getTraceability",
    captured("GET", "/api/traceability/A%00B"),
    failed(NUL),
    refused(422),
  ],
  [
    "client-fault",
    "login",
    captured("POST", "/api/login", String.raw`{"email":"a\u0000"}`),
    failed(NUL),
    refused(401),
  ],
  ["no-injection", "createLot", lot({ "lot_code) values (1) --": 1 }), failed(SYNTAX), refused()],
  ["no-injection", "createLot", lot({ LOT_CODE: "L" }), stored, refused()],
  ["no-injection", "createLot", lot({ toPostgres: 1 }), failed(SYNTAX), naming("toPostgres")],
  [
    "no-injection",
    "createLot",
    captured("POST", "/api/lots", String.raw`{"SYNTAX \u0065rror at x.ts":1}`),
    failed(SYNTAX),
    naming("SYNTAX error at x.ts"),
  ],
  ["no-injection", "createQcDecision", decision({ "notes,lot_id": 1 }), stored, refused()],
  ["named-lots", "createLot", lot({ lot_code: "" }), stored, refused()],
  ["json-metadata", "createLot", lot({ ...L, metadata: [1] }), failed(NO_JSON), stored],
  ["json-metadata", "createLot", lot({ ...L, metadata: "abc" }), failed(NO_JSON), refused()],
  ["large-traces", "getTraceability", HOT, traceOf(1, 250_000), refused(413)],
  ["unicode", "createLot", lot({ lot_code: "\ud800X" }), stored, refused()],
  ["unicode", "createLot", lot({ ...L, metadata: { a: ["\udc00"] } }), failed(NO_JSON), refused()],
  ["unicode", "createQcDecision", decision({ notes: "\ud800" }), stored, refused()],
  ...["9999-12-31T23:59:59-14:00", "10000-01-01", "0044-03-15 BC"].flatMap((moment): Case[] => [
    ["four-digit-years", "createLot", lot({ ...L, created_at: moment }), stored, refused()],
    ["four-digit-years", "createLot", lot({ ...L, created_at: moment }), failed(TAKEN), refused()],
    ["four-digit-years", "createQcDecision", decision({ decided_at: moment }), stored, refused()],
  ]),
];

for (const [approval, operation, request, legacy, service] of APPROVED) {
  const what = `${request.method} ${request.target} ${new TextDecoder().decode(request.body)}`;
  Deno.test(`${approval} allows ${legacy.status} to change to ${service.status}: ${what}`, () => {
    strictEqual(verdict(operation, request, legacy, service), approval);
  });
}

const NOT_APPROVED: [what: string, ...Case][] = [
  [
    "a trace of fewer links is refused",
    "status",
    "getTraceability",
    HOT,
    traceOf(1, 249_999),
    refused(413),
  ],
  ["a lot is refused for nothing", "status", "createLot", lot(L), stored, refused()],
  ["a lot counts as taken for nothing", "status", "createLot", lot(L), stored, refused(409)],
  [
    "a field of the database's own is refused",
    "status",
    "createLot",
    lot({ ...L, colour: "red" }),
    stored,
    refused(),
  ],
  ["a taken code is stored", "status", "createLot", lot(L), failed(TAKEN), stored],
  ["a taken code is 422", "status", "createLot", lot(L), failed(TAKEN), refused(422)],
  ["a wrong value is stored", "status", "createLot", lot(L), failed(CHECK), stored],
  ["a wrong value is 409", "status", "createLot", lot(L), failed(CHECK), refused(409)],
  ["what failed by itself is a refusal", "status", "createLot", lot(L), failed("Boom"), refused()],
  ["a failure became another", "status", "createLot", lot(L), failed(CHECK), refused(503)],
  [
    "a list of metadata is refused",
    "status",
    "createLot",
    lot({ ...L, metadata: [1] }),
    failed(NO_JSON),
    refused(),
  ],
  [
    "an empty list of metadata is a failure",
    "status",
    "createLot",
    lot({ ...L, metadata: [] }),
    failed(NO_JSON),
    stored,
  ],
  ["metadata is refused", "status", "createLot", lot({ ...L, metadata: "{}" }), stored, refused()],
  [
    "the last moment of the year 9999 is refused",
    "status",
    "createLot",
    lot({ ...L, created_at: "9999-12-31T09:59:59-14:00" }),
    stored,
    refused(),
  ],
  [
    "an empty note is refused",
    "status",
    "createQcDecision",
    decision({ notes: "" }),
    stored,
    refused(),
  ],
  [
    "a trace is refused",
    "status",
    "getTraceability",
    captured("GET", "/api/traceability/A"),
    failed(NUL),
    refused(422),
  ],
  ["a lot isn't found", "status", "getTraceability", captured("GET", "/x"), stored, refused(404)],
  ["GET isn't allowed", "status", "getHealth", captured("GET", "/x"), page, refused(405)],
  [
    "another error in JSON",
    "body.error",
    "login",
    lot(L),
    refused(401),
    responseOf(401, '{"error":"x"}'),
  ],
];

for (const [what, place, operation, request, legacy, service] of NOT_APPROVED) {
  Deno.test(`no rule allows that ${what}`, () => {
    strictEqual(verdict(operation, request, legacy, service), place);
  });
}

const FORMS: [what: string, service: CapturedResponse, says: RegExp][] = [
  ["an HTML page", responseOf(422, "<pre>no</pre>"), /no \{\\"error\\": text\}/],
  ["the database's words", responseOf(422, JSON.stringify({ error: CHECK })), /reveals internals/],
  ["another type", refused(422, { "content-type": "text/plain" }), /content-type text\/plain/],
  ["no CORS", refused(422, { "access-control-allow-origin": undefined }), /allow-origin may not/],
  ["a new header", refused(422, { "cache-control": "no-store" }), /cache-control may not/],
];

for (const [what, service, says] of FORMS) {
  Deno.test(`an approved refusal with ${what} is not approved`, () => {
    const pair = pairOf("createLot", lot(L), failed(CHECK), service);
    const { outcome, differences } = compare(pair, rules);
    strictEqual(outcome, "different");
    match(JSON.stringify(differences), says);
  });
}

Deno.test("405 without Allow is no approved change", () => {
  const legacy = { ...page, status: 404 };
  const pair = pairOf("createLot", captured("PUT", "/api/lots"), legacy, refused(405));
  match(JSON.stringify(compare(pair, rules).differences), /405 without Allow/);
});

const part = (value: object) => btoa(JSON.stringify(value)).replaceAll("=", "");
const jwt = (sub: string, alg = "EdDSA") => `${part({ alg })}.${part({ sub })}.${"s".repeat(43)}`;
const session = (token: string, name = "Eva") =>
  responseOf(200, `{"user":{"id":"1","full_name":"${name}"},"token":"${token}"}`);

const TOKENS: [what: string, service: CapturedResponse, verdict: string][] = [
  ["a signed token", session(jwt("1")), "real-token"],
  ["the constant one", session("constant"), "same"],
  ["any text", session("a.b.c"), "body.token"],
  ["an unsigned one", session(jwt("1", "none")), "body.token"],
  ["another user's", session(jwt("2")), "body.token"],
  ["a signed one, and another name", session(jwt("1"), "Éva"), "body.user.full_name"],
];

for (const [what, service, expected] of TOKENS) {
  Deno.test(`for the constant token, ${what}: ${expected}`, () => {
    const request = captured("POST", "/api/login", '{"email":"a@b.example"}');
    strictEqual(verdict("login", request, session("constant"), service), expected);
  });
}

Deno.test("conditions read through gzip, a BOM and any case of the type", () => {
  const body = new Uint8Array(gzipSync('\uFEFF{"lot_code":""}'));
  const request = captured("POST", "/api/lots", body, [
    ["Content-Type", "Application/JSON; charset=utf-8"],
    ["Content-Encoding", "gzip"],
  ]);
  strictEqual(verdict("createLot", request, stored, refused()), "named-lots");
});

Deno.test("a deeply nested body is read to its end", () => {
  const request = lot(`{"metadata":${"[".repeat(50_000)}"\\ud800"${"]".repeat(50_000)}}`);
  strictEqual(verdict("createLot", request, stored, refused()), "unicode");
});

Deno.test("every entry of the project's approvals has its rule for live responses", async () => {
  const ids = parseApprovals(
    await Deno.readTextFile(new URL("../approved.yaml", import.meta.url)),
  ).map(({ id }) => id);
  deepStrictEqual([...new Set(rules.map(({ id }) => id))], ids);
  ok(rules.every(({ legacy, service }) => (legacy?.length ?? 0) <= 2 && service.length === 1));
});

const LIVE = (rule: string) => `
- id: some
  reason: For a reason.
  approved: 2026-11-23
  review: 2027-05-24
  answers:
    - { exchange: "a #0", status: [422] }
  live:
    - { ${rule} }
`;
const RULE = "operation: createLot, legacy: [500], service: [422], when: taken";
const BROKEN: [what: string, text: string][] = [
  ["neither condition nor place", RULE.replace(", when: taken", "")],
  ["condition and place", `${RULE}, place: body.token`],
  ["an unknown condition", RULE.replace("taken", "sometimes")],
  ["any place", RULE.replace("when: taken", "place: body")],
  ["a failure of Lotline's", RULE.replace("422", "500")],
  ["an operation of no old server", RULE.replace("createLot", "createAudit")],
  ["no status", RULE.replace("[500]", "[]")],
  ["an unknown word", `${RULE}, until: 2027`],
  ["the same twice", `${RULE} }\n    - { ${RULE}`],
];

for (const [what, rule] of BROKEN) {
  Deno.test(`a live rule with ${what} is refused`, () => {
    strictEqual(parseApprovals(LIVE(RULE))[0]?.live?.length, 1);
    throws(() => parseApprovals(LIVE(rule)));
  });
}

Deno.test("invalid approvals end the start, with one line that names the file", async () => {
  const file = await Deno.makeTempFile({ suffix: ".yaml" });
  await Deno.writeTextFile(file, LIVE(RULE.replace("taken", "sometimes")));
  const line = (error: Error) => {
    match(
      error.message,
      /^The approvals in .*\.yaml can't be used: .*sometimes|^The approvals.*when/,
    );
    return !error.message.includes("\n");
  };
  await rejects(loadLiveRules(file), line);
  await Deno.remove(file);
  await rejects(loadLiveRules(file), /^Error: The approvals in .*\.yaml can't be used: /);
});
