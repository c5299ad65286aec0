import { deepStrictEqual } from "node:assert/strict";
import { captured, pairOf, responseOf } from "../testing/captured.ts";
import { compare } from "./compare.ts";
import type { CapturedResponse } from "../exchange/exchange.ts";
import type { LegacyOperation } from "../exchange/operations.ts";

/** The differences that no rule allows. */
function differencesOf(
  operation: LegacyOperation,
  legacy: CapturedResponse,
  service: CapturedResponse,
  request = captured("GET", "/api/traceability/A"),
) {
  return compare(pairOf(operation, request, legacy, service), []).differences;
}

const placesOf = (...of: Parameters<typeof differencesOf>) =>
  differencesOf(...of).map(({ place }) => place);

const ID = "8c4a1a5e-60a1-4d0f-9a58-4f3d5c0f2b11";
const ID_2 = "0d9c7b1a-3a77-4b1c-8f0e-6a2f3e4d5c6b";

const weak = (tag: string) => ({ etag: `W/"${tag}"` });
const WITHOUT_BODY: [what: string, status: number, was: string, is: string, places: string[]][] = [
  ["a HEAD with another weak ETag", 200, 'W/"a"', 'W/"b"', []],
  ["not modified, with another weak ETag", 304, 'W/"a"', 'W/"b"', []],
  ["a HEAD with a strong ETag", 200, 'W/"a"', '"a"', ["header etag"]],
  ["not modified, with a strong ETag", 304, 'W/"a"', '"a"', ["header etag"]],
];

// The bytes behind it aren't available to compare: each upstream makes its own ETag.
for (const [what, status, was, is, places] of WITHOUT_BODY) {
  Deno.test(`a response without a body: ${what} is ${places.length === 0 ? "the same" : "found"}`, () => {
    const [legacy, service] = [
      responseOf(status, "", { etag: was }),
      responseOf(status, "", {
        etag: is,
      }),
    ];
    deepStrictEqual(placesOf("getTraceability", legacy, service), places);
  });
}

Deno.test("another ETag is no difference if the bytes differ, and a missing one is a difference", () => {
  const places = (legacy: CapturedResponse, service: CapturedResponse) =>
    placesOf("getTraceability", legacy, service);
  const [bytes, spaced] = ['{"a":1,"b":2}', '{"a":1, "b":2}'];
  deepStrictEqual(
    places(responseOf(200, bytes, weak("a")), responseOf(200, spaced, weak("b"))),
    [],
  );
  // Where only Lotline fails, the missing ETag is a further difference.
  deepStrictEqual(places(responseOf(200, "{}", weak("a")), responseOf(400, "{}")), [
    "status",
    "header etag",
  ]);
  deepStrictEqual(places(responseOf(399, "{}", weak("a")), responseOf(399, "{}")), ["header etag"]);
});

Deno.test("bytes that are no UTF-8 are compared as bytes, and shown as Latin-1", () => {
  const bytes = (...body: number[]) => ({ ...responseOf(200, ""), body: new Uint8Array(body) });
  deepStrictEqual(placesOf("getHealth", bytes(0xe9, 0xff), bytes(0xe9, 0xff)), []);
  const [found] = differencesOf("getHealth", bytes(0xe9, 0xff), bytes(0xe9, 0xfe));
  deepStrictEqual([found?.place, found?.legacy, found?.service], ["body", "éÿ", "éþ"]);
});

Deno.test("a success differs from an error as a whole, and generated fields depend on the status", () => {
  const places = (legacy: CapturedResponse, service: CapturedResponse) =>
    placesOf("createLot", legacy, service);
  const noEtag = { etag: undefined };
  deepStrictEqual(places(responseOf(399, '{"a":1}', noEtag), responseOf(400, '{"a":2}')), [
    "status",
    "body",
  ]);
  deepStrictEqual(places(responseOf(399, '{"a":1}'), responseOf(201, '{"a":2}')), [
    "status",
    "body.a",
  ]);
  deepStrictEqual(places(responseOf(400, '{"a":1}'), responseOf(409, '{"a":2}')), [
    "status",
    "body.a",
  ]);
  // With another status an id isn't a new one.
  const lotOf = (id: string) => `{"id":"${id}"}`;
  deepStrictEqual(places(responseOf(201, lotOf(ID)), responseOf(200, lotOf(ID_2))), [
    "status",
    "body.id",
  ]);
});

Deno.test("a new decision's id and moment are generated fields, within the bound of the clocks", () => {
  const request = captured("POST", "/api/qc-decisions", '{"decision":"pass"}');
  const decided = (id: string, at: string) =>
    responseOf(201, `{"id":"${id}","decided_at":"${at}"}`);
  const places = (service: CapturedResponse) =>
    placesOf("createQcDecision", decided(ID, "2026-11-25T08:00:00.000Z"), service, request);
  deepStrictEqual(places(decided(ID_2, "2026-11-25T08:05:00.050Z")), []);
  deepStrictEqual(places(decided("none", "2026-11-25T08:05:00.051Z")), [
    "body.id",
    "body.decided_at",
  ]);
});
