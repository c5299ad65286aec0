import { rawRequest } from "../testing/raw_http.ts";
import { startRefusals } from "../testing/refusals.ts";

/* Bodies that are JSON objects, with invalid values of a lot, a decision or a login in legacy. */

const { refuse } = await startRefusals();

type Case = [what: string, bytes: Uint8Array, status: number];

const post = (path: string, body: string) =>
  rawRequest(`POST ${path}`, "Content-Type: application/json\r\n", body);
const lot = (body: string) => post("/api/lots", body);
const field = (name: string, value: string) => lot(`{"lot_code":"BAD","${name}":${value}}`);
const decision = (name: string, value: string) => post("/api/qc-decisions", `{"${name}":${value}}`);
const decided = (name: string, value: string) =>
  post("/api/qc-decisions", `{"notes":"BAD","${name}":${value}}`);

const deep = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
const UNKNOWN = "00000000-0000-4000-8000-00000000dead";

const CASES: Case[] = [
  ["10,000 levels as text", field("metadata", `"${deep(10_000)}"`), 422],
  ["NUL in a code", lot('{"lot_code":"BAD\\u0000"}'), 422],
  ["NUL in notes", decision("notes", '"a\\u0000"'), 422],
  ["NUL deep in metadata", field("metadata", '{"a":[{"b":"\\u0000"}]}'), 422],
  ["NUL in a key of metadata", field("metadata", '{"a\\u0000":1}'), 422],
  ["a lone surrogate", lot('{"lot_code":"BAD\\ud800"}'), 422],
  ["a lone surrogate in metadata", field("metadata", '{"a":"\\udc00"}'), 422],
  ["1e400 as a number", field("weight_kg", "1e400"), 422],
  ["1e400 for a code", lot('{"lot_code":1e400}'), 422],
  ["1e400 in metadata", field("metadata", '{"a":1e400}'), 422],
  ["an exponent beyond numeric", field("weight_kg", '"1e99999"'), 422],
  ["NaN as text", field("weight_kg", '"NaN"'), 422],
  ["Infinity as text", field("temperature_c", '"-Infinity"'), 422],
  ["hexadecimal that is none", field("weight_kg", '"0x1G"'), 422],
  ["an empty number", field("weight_kg", '""'), 422],
  ["no code", lot('{"lot_type":"RAW"}'), 422],
  ["a null code", lot('{"lot_code":null}'), 422],
  ["an empty code", lot('{"lot_code":""}'), 422],
  ["a code that is an object", lot('{"lot_code":{"a":true}}'), 422],
  ["a code that is a list", lot('{"lot_code":["BAD"]}'), 422],
  ["a code too long", lot(`{"lot_code":"${"x".repeat(2_601)}"}`), 422],
  ["a code too long in bytes", lot(`{"lot_code":"${"ő".repeat(651)}"}`), 422],
  ["notes too long", decision("notes", `"${"x".repeat(50_001)}"`), 422],
  ["an unknown type", field("lot_type", '"XXX"'), 422],
  ["a type in lower case", field("lot_type", '"raw"'), 422],
  ["a type that is a number", field("lot_type", "1"), 422],
  ["text for a weight", field("weight_kg", '"heavy"'), 422],
  ["true for a weight", field("weight_kg", "true"), 422],
  ["a list for a weight", field("weight_kg", "[1]"), 422],
  ["metadata that is no JSON", field("metadata", '"abc"'), 422],
  ["a time that is none", field("created_at", '"yesterday"'), 422],
  ["a time that is a number", field("created_at", "5"), 422],
  ["the 30th of February", field("created_at", '"2026-02-30"'), 422],
  ["the 29th of February 2026", field("created_at", '"2026-02-29T00:00:00Z"'), 422],
  ["a broken UUID", field("phase_id", '"3"'), 422],
  ["a null id", field("id", "null"), 422],
  ["no field at all", post("/api/qc-decisions", "{}"), 422],
  ["an unknown decision", decision("decision", '"MAYBE"'), 422],
  ["an unknown run", field("production_run_id", `"${UNKNOWN}"`), 409],
  ["an unknown phase", field("phase_id", `"${UNKNOWN}"`), 409],
  ["an unknown operator", field("operator_id", `"${UNKNOWN}"`), 409],
  ["an unknown lot", decision("lot_id", `"${UNKNOWN}"`), 409],
  ["an unknown gate", decision("qc_gate_id", `"${UNKNOWN}"`), 409],
  ["a code that is taken", lot('{"lot_code":"MIX-BATCH-88"}'), 409],
  ["an id that is taken", field("id", '"22222222-2222-2222-2222-222222222201"'), 409],
  ["SQL in an email", post("/api/login", `{"email":"' or 1=1 --"}`), 401],
  ["NUL in an email", post("/api/login", '{"email":"a\\u0000"}'), 401],
  ["an email that is a list", post("/api/login", '{"email":["admin@flowviz.com"]}'), 401],
  ["metadata of 33 levels", field("metadata", deep(32)), 422],
  ["1e400 in a decision", decided("temperature_c", "1e400"), 422],
  ["NaN as text in a decision", decided("temperature_c", '"NaN"'), 422],
  ["a lone surrogate in notes", decision("notes", '"\\ud800"'), 422],
  ["a lone surrogate in a signature", decided("digital_signature", '"\\udc00"'), 422],
  ["a list for notes", decision("notes", '["a"]'), 422],
  ["an object for a signature", decided("digital_signature", '{"a":1}'), 422],
  ["a year beyond 9999 by its month's name", decided("decided_at", '"1 Jan 12026"'), 422],
  ["infinity for a time", decided("decided_at", '"infinity"'), 422],
  ["a signature too long", decided("digital_signature", `"${"x".repeat(50_001)}"`), 422],
  ["a broken UUID of a decision's lot", decided("lot_id", '"3"'), 422],
  ["a number for a decision's lot", decided("lot_id", "3"), 422],
  ["a time that a decision can't have", decided("decided_at", '"yesterday"'), 422],
  ["a decision in lower case", decision("decision", '"pass"'), 422],
  [
    "an id of a decision that is taken",
    decided("id", '"00000000-0000-4000-8000-000000970001"'),
    409,
  ],
];

for (const [what, bytes, status] of CASES) {
  Deno.test(`${what} is ${status}, and nothing is stored`, async () => {
    await refuse(bytes, [status]);
  });
}
