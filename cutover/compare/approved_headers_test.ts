import { deepStrictEqual, ok, throws } from "node:assert/strict";
import { liveRulesOf, parseApprovals, type Rule } from "./approvals.ts";
import { captured, pairOf, responseOf } from "../testing/captured.ts";
import { compare } from "./compare.ts";
import type { CapturedResponse } from "../exchange/exchange.ts";
import { loadLiveRules } from "./approvals.ts";

const entry = (id: string, rule: string) => `
- id: ${id}
  reason: A proxy in front of the old server adds it.
  approved: 2026-11-23
  review: 2027-05-24
  live:
    - { ${rule} }
`;
const CACHE = entry(
  "no-store",
  "operation: createLot, legacy: [201, 500], service: [201, 409], place: header.cache-control",
);
const TAG = entry(
  "other-tags",
  "operation: createLot, legacy: [201], service: [201], place: header.etag",
);
const rules = liveRulesOf(parseApprovals(CACHE + TAG));

const request = captured("POST", "/api/lots", '{"lot_code":"A","lot_type":"MIX"}');
const lot = (headers = {}, id = "0d9c7b1a-3a77-4b1c-8f0e-6a2f3e4d5c6b") =>
  responseOf(201, `{"id":"${id}"}`, headers);
const NO_STORE = { "cache-control": "no-store" };

function judged(legacy: CapturedResponse, service: CapturedResponse, by: readonly Rule[] = rules) {
  const { outcome, approvals, differences } = compare(
    pairOf("createLot", request, legacy, service),
    by,
  );
  return [outcome, [...approvals].sort().join(), differences.map(({ place }) => place).join()];
}

Deno.test("a difference of a header is approved by the header's name", () => {
  deepStrictEqual(judged(lot(NO_STORE), lot()), ["approved", "no-store", ""]);
  deepStrictEqual(judged(lot(), lot({ "Cache-Control": "no-cache" })), [
    "approved",
    "no-store",
    "",
  ]);
  deepStrictEqual(
    judged(lot({ ...NO_STORE, etag: undefined }), lot()),
    ["approved", "no-store,other-tags", ""],
  );
  deepStrictEqual(judged(lot(NO_STORE), lot(), []), ["different", "", "header cache-control"]);
});

Deno.test("a header's approval allows only that header, those statuses and that operation", () => {
  deepStrictEqual(judged(lot(NO_STORE), lot({ vary: "Origin" })), [
    "different",
    "",
    "header vary",
  ]);
  deepStrictEqual(judged(lot(NO_STORE), responseOf(201, '{"id":1}')), ["different", "", "body.id"]);
  const [legacy, service] = [responseOf(404, "{}", NO_STORE), responseOf(404, "{}")];
  deepStrictEqual(judged(legacy, service), ["different", "", "header cache-control"]);
  const other = compare(pairOf("createQcDecision", request, lot(NO_STORE), lot()), rules);
  deepStrictEqual(other.outcome, "different");
});

Deno.test("a header's approval combines with one of the whole response", async () => {
  const words = 'duplicate key value violates unique constraint "lots_lot_code_key"';
  const taken = responseOf(500, JSON.stringify({ error: words }), NO_STORE);
  const refused = responseOf(409, '{"error":"Lot code A is taken"}');
  const project = await loadLiveRules();
  deepStrictEqual(judged(taken, refused, project)[0], "different");
  deepStrictEqual(judged(taken, refused, [...project, ...rules]), [
    "approved",
    "client-fault,no-store",
    "",
  ]);
});

Deno.test("a header may be named as in reports", () => {
  const [rule] = liveRulesOf(
    parseApprovals(CACHE.replace("header.cache", '"header Cache').replace(" }", '" }')),
  );
  ok(rule !== undefined);
  deepStrictEqual(judged(lot(NO_STORE), lot(), [rule]), ["approved", "no-store", ""]);
});

const REFUSED: [what: string, text: string][] = [
  ["a header that isn't compared", CACHE.replace("cache-control", "server")],
  ["a header without a name", CACHE.replace("header.cache-control", '"header."')],
  ["another part of the response", CACHE.replace("header.cache-control", "status")],
  ["the same header twice", CACHE + CACHE.replace("no-store", "again")],
];

for (const [what, text] of REFUSED) {
  Deno.test(`an approval that names ${what} is refused`, () => {
    throws(() => parseApprovals(text), /place|stands twice/);
  });
}
