import { strictEqual } from "node:assert/strict";
import { captured, responseOf } from "../testing/captured.ts";
import { liveVerdict } from "../testing/live_verdict.ts";
import type { CapturedRequest, CapturedResponse, HeaderLines } from "../exchange/exchange.ts";
import type { LegacyOperation } from "../exchange/operations.ts";

/* The gateway's verdict on values that no plant would send, and on similar ordinary values. */

type Case = [
  expected: string,
  operation: LegacyOperation,
  request: CapturedRequest,
  legacy: CapturedResponse,
  service: CapturedResponse,
];

const failed = (words: string) => responseOf(500, JSON.stringify({ error: words }));
const refused = (status = 422) => responseOf(status, '{"error":"No."}');
const stored = responseOf(201, '{"id":"0d9c7b1a-3a77-4b1c-8f0e-6a2f3e4d5c6b"}');
const lot = (body: unknown) =>
  captured("POST", "/api/lots", typeof body === "string" ? body : JSON.stringify(body));
const decision = (body: unknown) => captured("POST", "/api/qc-decisions", JSON.stringify(body));
const REFERENCE =
  'insert or update on table "lots" violates foreign key constraint "lots_phase_id_fkey"';
const NO_JSON = "invalid input syntax for type json";
const L = { lot_code: "L-1" };
const showing = (created_at: string | null) => responseOf(201, JSON.stringify({ created_at }));
const nested = (levels: number): unknown => JSON.parse("[".repeat(levels) + "]".repeat(levels));
const keyed = (keys: string[]) =>
  captured("POST", "/api/lots", JSON.stringify(L), [
    ["content-type", "application/json"],
    ...keys.map((key) => ["Idempotency-Key", key] as const),
  ]);
const NO_UTF_8 = Uint8Array.from([...new TextEncoder().encode('{"lot_code":"'), 0xff, 0x22, 0x7d]);
const UTF_16: HeaderLines = [["content-type", "application/json; charset=utf-16"]];

const APPROVED: Case[] = [
  [
    "four-digit-years",
    "createLot",
    lot({ ...L, created_at: "infinity" }),
    showing(null),
    refused(),
  ],
  [
    "four-digit-years",
    "createLot",
    lot({ ...L, created_at: "1 Jan 12026" }),
    showing("+012026-01-01T00:00:00.000Z"),
    refused(),
  ],
  [
    "four-digit-years",
    "createQcDecision",
    decision({ decided_at: "March 22 12020" }),
    failed(REFERENCE),
    refused(),
  ],
  ["finite-numbers", "createLot", lot({ ...L, weight_kg: " nan" }), stored, refused()],
  ["finite-numbers", "createLot", lot('{"metadata":{"a":1e400}}'), stored, refused()],
  ["finite-numbers", "createQcDecision", decision({ temperature_c: "-Inf" }), stored, refused()],
  ["fixed-moments", "createLot", lot({ ...L, created_at: "Tomorrow 10:00" }), stored, refused()],
  ["fixed-moments", "createQcDecision", decision({ decided_at: "now" }), stored, refused()],
  ["single-values", "createQcDecision", decision({ notes: ["a"] }), stored, refused()],
  ["single-values", "createQcDecision", decision({ notes: {} }), failed(REFERENCE), refused()],
  ["single-values", "createLot", lot({ lot_code: {} }), stored, refused()],
  ["promised-bounds", "createLot", lot({ lot_code: "é".repeat(651) }), stored, refused()],
  ["promised-bounds", "createLot", lot({ ...L, weight_kg: "1e10000" }), stored, refused()],
  [
    "promised-bounds",
    "createQcDecision",
    decision({ notes: "x".repeat(50_001) }),
    stored,
    refused(),
  ],
  ["promised-bounds", "createLot", lot({ ...L, metadata: nested(32) }), stored, refused()],
  [
    "promised-bounds",
    "createLot",
    lot({ ...L, metadata: "[".repeat(33) + "]".repeat(33) }),
    stored,
    refused(),
  ],
  ["promised-bounds", "login", lot({ email: nested(33) }), failed("Boom"), refused(401)],
  ["promised-bounds", "createLot", keyed(["a b"]), stored, refused()],
  ["promised-bounds", "createLot", keyed(["a", "b"]), stored, refused()],
  ["unicode", "createLot", captured("POST", "/api/lots", NO_UTF_8), stored, refused(400)],
  ["unicode", "createLot", captured("POST", "/api/lots", "{}", UTF_16), stored, refused(415)],
  ["first-fault", "createLot", lot({ metadata: [1] }), failed(NO_JSON), refused()],
  ["first-fault", "createLot", lot({ ...L, metadata: [1] }), failed(NO_JSON), refused(409)],
];

for (const [approval, operation, request, legacy, service] of APPROVED) {
  const sent = new TextDecoder().decode(request.body).slice(0, 100);
  const change = `${legacy.status} to become ${service.status}`;
  Deno.test(`${approval} allows ${change}: ${request.target} ${sent}`, () => {
    strictEqual(liveVerdict(operation, request, legacy, service), approval);
  });
}

const NOT_APPROVED: [what: string, ...Case][] = [
  [
    "a padded weight is refused",
    "status",
    "createLot",
    lot({ ...L, weight_kg: " 1 " }),
    stored,
    refused(),
  ],
  [
    "NaN as a note is refused",
    "status",
    "createQcDecision",
    decision({ notes: "NaN" }),
    stored,
    refused(),
  ],
  [
    "a month by its name is refused",
    "status",
    "createLot",
    lot({ ...L, created_at: "Jan 18 2026" }),
    showing("2026-01-18T00:00:00.000Z"),
    refused(),
  ],
  [
    "a note of 50,000 characters is refused",
    "status",
    "createQcDecision",
    decision({ notes: "x".repeat(50_000) }),
    stored,
    refused(),
  ],
  [
    "metadata of 32 levels is refused",
    "status",
    "createLot",
    lot({ ...L, metadata: nested(31) }),
    stored,
    refused(),
  ],
  [
    "a key of 255 letters is refused",
    "status",
    "createLot",
    keyed(["k".repeat(255)]),
    stored,
    refused(),
  ],
  ["UTF-8 is refused", "status", "createLot", lot({ lot_code: "é" }), stored, refused(400)],
  [
    "a nested email is a failure",
    "status",
    "login",
    lot({ email: nested(20) }),
    failed("Boom"),
    refused(401),
  ],
];

for (const [what, place, operation, request, legacy, service] of NOT_APPROVED) {
  Deno.test(`no rule allows that ${what}`, () => {
    strictEqual(liveVerdict(operation, request, legacy, service), place);
  });
}
