import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { AT, captured, pairOf, responseOf } from "../testing/captured.ts";
import { compare } from "./compare.ts";
import type { CapturedResponse } from "../exchange/exchange.ts";

const ID = "8c4a1a5e-60a1-4d0f-9a58-4f3d5c0f2b11";
const ID_2 = "0d9c7b1a-3a77-4b1c-8f0e-6a2f3e4d5c6b";
const row = (id: string, at: string) => `{"id":"${id}","lot_code":"L","created_at":"${at}"}`;
const made = (id = ID_2, at = "2026-11-25T08:00:01.123Z") => responseOf(201, row(id, at));
const madeByLegacy = responseOf(201, row(ID, "2026-11-25T07:59:59.999Z"));

const GENERATED: [what: string, response: CapturedResponse, place: string | undefined][] = [
  ["another id and moment", made(), undefined],
  ["a moment just within the clocks' bounds", made(ID_2, "2026-11-25T07:55:00.000Z"), undefined],
  ["a moment too early", made(ID_2, "2026-11-25T07:54:59.999Z"), "body.created_at"],
  ["a moment too late", made(ID_2, "2026-11-25T08:05:00.051Z"), "body.created_at"],
  ["another time zone", made(ID_2, "2026-11-25T10:00:01.123Z"), "body.created_at"],
  ["an offset", made(ID_2, "2026-11-25T08:00:01.123+00:00"), "body.created_at"],
  ["microseconds", made(ID_2, "2026-11-25T08:00:01.123456Z"), "body.created_at"],
  ["an id of version 1", made(ID_2.replace("-4b", "-1b")), "body.id"],
  ["an id in capitals", made(ID_2.toUpperCase()), "body.id"],
  ["a number for an id", responseOf(201, made().body.length.toString()), "body"],
];

for (const [what, service, place] of GENERATED) {
  Deno.test(`a new lot with ${what} is ${place === undefined ? "the same" : "found"}`, () => {
    const request = captured("POST", "/api/lots", '{"lot_code":"L"}');
    const { differences } = compare(pairOf("createLot", request, madeByLegacy, service), []);
    deepStrictEqual(differences.map((one) => one.place), place === undefined ? [] : [place]);
  });
}

Deno.test("an id or a moment that the request names isn't a generated field", () => {
  const request = captured(
    "POST",
    "/api/lots",
    `{"lot_code":"L","id":"${ID.toUpperCase()}","created_at":"2026-11-25T07:59:59.999Z"}`,
  );
  const places = (service: CapturedResponse) =>
    compare(pairOf("createLot", request, madeByLegacy, service), []).differences.map((o) =>
      o.place
    );
  deepStrictEqual(places(made()), ["body.id", "body.created_at"]);
  deepStrictEqual(places(madeByLegacy), []);
});

Deno.test("an id that occurs elsewhere in the request was not generated", () => {
  const request = captured("POST", "/api/lots", `{"lot_code":"L","operator_id":"${ID_2}"}`);
  const { differences } = compare(pairOf("createLot", request, madeByLegacy, made()), []);
  deepStrictEqual(differences.map(({ place }) => place), ["body.id"]);
});

Deno.test("the moment of a health response is its own, and must be now", () => {
  const health = (at: string) => responseOf(200, `{"status":"ok","timestamp":"${at}"}`);
  const now = new Date(AT).toISOString();
  const later = new Date(AT + 20).toISOString();
  const request = captured("GET", "/api/health");
  const differences = (service: CapturedResponse) =>
    compare(pairOf("getHealth", request, health(now), service), []).differences;
  deepStrictEqual(differences(health(later)), []);
  const [found] = differences(health("2026-11-25T10:00:00.000Z"));
  strictEqual(found?.place, "body.timestamp");
});
