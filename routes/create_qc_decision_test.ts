import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { QcDecision } from "./create_qc_decision.ts";
import { ErrorResponse } from "./responses.ts";

const { api, sql } = await apiOnSeed();
const decide = (body: unknown) => api.post("/api/qc-decisions", body);

const LOT = "22222222-2222-2222-2222-222222222201";
const GATE = "00000000-0000-4000-8000-000000920004";
const OPERATOR = "00000000-0000-0000-0000-000000000002";
const NOBODY = "99999999-9999-4999-8999-999999999999";

async function countDecisions(): Promise<number> {
  const [row] = await sql<{ count: number }[]>`select count(*)::int from qc_decisions`;
  return row?.count ?? NaN;
}

/** A column's value in the database, as text. */
async function stored(id: string, column: string): Promise<string | null | undefined> {
  const [row] = await sql<{ value: string | null }[]>`
    select ${sql(column)}::text as value from qc_decisions where id = ${id}`;
  return row?.value;
}

Deno.test("a decision with every field is stored, and the response has all columns in their order", async () => {
  const decision = {
    id: "aaaaaaaa-0000-4000-8000-000000000001",
    lot_id: LOT,
    qc_gate_id: GATE,
    operator_id: OPERATOR,
    decision: "HOLD",
    notes: "Túl meleg:\n'4,50' 💩",
    temperature_c: "4.50",
    digital_signature: "JO",
    decided_at: "2026-01-18T10:00:00.000Z",
  };
  const response = await decide(Object.fromEntries(Object.entries(decision).reverse()));
  strictEqual(response.status, 201);
  strictEqual(response.text, JSON.stringify(decision));
  strictEqual(await stored(decision.id, "notes"), decision.notes);
});

Deno.test("absent fields are null, except the id and the time", async () => {
  const before = Date.now();
  const response = await decide({ decision: "PASS" });
  const { id, decided_at, ...rest } = QcDecision.parse(response.json);
  deepStrictEqual(rest, {
    lot_id: null,
    qc_gate_id: null,
    operator_id: null,
    decision: "PASS",
    notes: null,
    temperature_c: null,
    digital_signature: null,
  });
  match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4/);
  const moment = Date.parse(decided_at ?? "");
  ok(before - 1 <= moment && moment <= Date.now(), `${decided_at}`);
});

Deno.test("an explicit null stays null, even in a column with a default", async () => {
  const fields = ["lot_id", "qc_gate_id", "operator_id", "decision", "notes", "temperature_c"]
    .concat("digital_signature", "decided_at");
  const response = await decide(Object.fromEntries(fields.map((name) => [name, null])));
  strictEqual(response.status, 201);
  const { id, ...rest } = QcDecision.parse(response.json);
  deepStrictEqual(rest, Object.fromEntries(fields.map((name) => [name, null])));
  strictEqual(await stored(id, "decided_at"), null);
});

Deno.test("a FAIL without notes is accepted, and so is a record without a decision", async () => {
  strictEqual((await decide({ lot_id: LOT, decision: "FAIL" })).status, 201);
  const { status, json } = await decide({ lot_id: LOT, notes: "seen" });
  deepStrictEqual([status, QcDecision.parse(json).decision], [201, null]);
});

Deno.test("a lot may have two decisions at one gate", async () => {
  const before = await countDecisions();
  for (const decision of ["HOLD", "PASS"]) {
    strictEqual((await decide({ lot_id: LOT, qc_gate_id: GATE, decision })).status, 201);
  }
  strictEqual(await countDecisions(), before + 2);
});

const KEPT: [sent: string, field: string, stored: string, shown?: string][] = [
  ['"3.50"', "temperature_c", "3.50"],
  ["3.50", "temperature_c", "3.5"],
  ["-1e-3", "temperature_c", "-0.001"],
  ["12", "notes", "12"],
  ["1e21", "notes", "1e+21"],
  ['""', "notes", ""],
  ["5.50", "digital_signature", "5.5"],
  [`"${"a".repeat(300)}"`, "digital_signature", "a".repeat(300)],
  [
    '"2026-01-19 10:11:12.123456"',
    "decided_at",
    "2026-01-19 10:11:12.123456+00",
    "2026-01-19T10:11:12.123Z",
  ],
  [
    '"2026-01-19T01:00:00+02:00"',
    "decided_at",
    "2026-01-18 23:00:00+00",
    "2026-01-18T23:00:00.000Z",
  ],
];

for (const [sent, field, kept, shown = kept] of KEPT) {
  Deno.test(`${field} ${sent.slice(0, 40)} is stored as ${kept.slice(0, 40)}`, async () => {
    const response = await decide(`{"${field}":${sent}}`);
    strictEqual(response.status, 201);
    const decision = QcDecision.parse(response.json);
    strictEqual(new Map(Object.entries(decision)).get(field), shown);
    strictEqual(await stored(decision.id, field), kept);
  });
}

Deno.test("UUIDs may have upper or lower case and are returned in lower case", async () => {
  const id = "AAAAAAAA-BBBB-1CCC-8DDD-EeEeEeEeEeEe";
  const decision = QcDecision.parse((await decide({ id, operator_id: OPERATOR })).json);
  strictEqual(decision.id, id.toLowerCase());
});

Deno.test("two texts of 50,000 characters are stored, one character more is refused", async () => {
  const text = "n".repeat(50_000);
  const { status, json } = await decide({ notes: text, digital_signature: text });
  strictEqual(status, 201);
  strictEqual(await stored(QcDecision.parse(json).id, "digital_signature"), text);
  for (const field of ["notes", "digital_signature"]) {
    const message = "must be text of at most 50000 characters without NUL";
    const refused = await decide({ [field]: `${text}n` });
    deepStrictEqual([refused.status, ErrorResponse.parse(refused.json)], [422, {
      error: `${field} ${message}`,
      details: [{ path: field, message }],
    }]);
  }
});

Deno.test("a character outside the basic plane counts as one, as JSON Schema counts", async () => {
  // As UTF-16 this is 50,002 units long; as UTF-8 it fits into a body.
  const text = "💩".repeat(2_001) + "n".repeat(46_000);
  strictEqual([...text].length, 48_001);
  strictEqual(text.length, 50_002);
  const { status, json } = await decide({ notes: text });
  strictEqual(status, 201);
  strictEqual(await stored(QcDecision.parse(json).id, "notes"), text);
});

const TAKEN = "00000000-0000-4000-8000-000000970001";
const CONFLICTS: [body: Record<string, string>, error: string][] = [
  [{ id: TAKEN }, `QC decision id ${TAKEN} is taken`],
  [{ lot_id: NOBODY }, "lot_id names no lot that exists"],
  [{ qc_gate_id: NOBODY }, "qc_gate_id names no QC gate that exists"],
  [{ operator_id: NOBODY }, "operator_id names no user that exists"],
];

for (const [body, error] of CONFLICTS) {
  Deno.test(`409 "${error}", and nothing is stored`, async () => {
    const before = await countDecisions();
    const response = await decide({ decision: "PASS", ...body });
    deepStrictEqual([response.status, ErrorResponse.parse(response.json)], [409, { error }]);
    strictEqual(await countDecisions(), before);
  });
}

const UUID = "must be a UUID, such as 11111111-1111-1111-1111-111111111101";
const DECIMAL = 'must be a finite number, or a plain decimal as text such as "12.50"';
const TEXT = "must be text of at most 50000 characters without NUL";
const MOMENT = "must be an RFC 3339 time, or a date with or without a time of day " +
  '("2026-01-19 10:11:12")';

const REFUSED: Record<string, [message: string, values: string[]]> = {
  id: [UUID, ["null", '""', "5"]],
  lot_id: [UUID, ['""', '"MIX-BATCH-88"', "5", "{}"]],
  qc_gate_id: [UUID, ['"4"', "4"]],
  operator_id: [UUID, ['"JO"', "false"]],
  decision: ["must be one of PASS, HOLD, FAIL", ['""', '"fail"', '"PASS "', "1", '["PASS"]']],
  notes: [TEXT, ["{}", '["a"]', "1e400"]],
  digital_signature: [TEXT, ['{"a":1}', "[]"]],
  temperature_c: [DECIMAL, ['"warm"', '"NaN"', "true", "1e400"]],
  decided_at: [MOMENT, ['"now"', '"infinity"', "true"]],
};

for (const [field, [message, values]] of Object.entries(REFUSED)) {
  Deno.test(`${field} ${message}: anything else is 422 and stores nothing`, async () => {
    const before = await countDecisions();
    for (const value of values) {
      const response = await decide(`{"${field}":${value}}`);
      deepStrictEqual([response.status, ErrorResponse.parse(response.json)], [422, {
        error: `${field} ${message}`,
        details: [{ path: field, message }],
      }], value);
    }
    strictEqual(await countDecisions(), before);
  });
}

const UNKNOWN_KEYS = [
  "notes) values ('INJECTED') --",
  "notes\") values ('INJECTED') --",
  "lot_code",
  "Notes",
  "__proto__",
  "constructor",
];

for (const key of UNKNOWN_KEYS) {
  Deno.test(`the key ${JSON.stringify(key)} is refused, is never SQL, and nothing is stored`, async () => {
    const before = await countDecisions();
    const response = await decide(`{"decision":"PASS",${JSON.stringify(key)}:"x"}`);
    deepStrictEqual([response.status, ErrorResponse.parse(response.json)], [422, {
      error: `${key} is not a field of this request`,
      details: [{ path: key, message: "is not a field of this request" }],
    }]);
    strictEqual(await countDecisions(), before);
  });
}

const BODIES: [body: string, status: number, error: string][] = [
  ["{}", 422, "The body must name at least one field"],
  ["", 422, "The body must name at least one field"],
  ["[]", 422, "The body must be of type object"],
  ['{"notes":"\\u0000"}', 422, "notes must not hold NUL"],
  ['{"notes":"\\ud800"}', 422, "notes must not hold half of a surrogate pair"],
  ["null", 400, "The body must be a JSON object"],
  ["{", 400, "The body is not valid JSON: it ends too early, at line 1, column 2"],
];

for (const [body, status, error] of BODIES) {
  Deno.test(`the body ${body || "that is empty"} is ${status} "${error}"`, async () => {
    const before = await countDecisions();
    const response = await decide(body);
    deepStrictEqual([response.status, ErrorResponse.parse(response.json).error], [status, error]);
    strictEqual(await countDecisions(), before);
  });
}

Deno.test("a body of another type is 415", async () => {
  const headers = { "content-type": "text/plain" };
  const { status, json } = await api.post("/api/qc-decisions", { decision: "PASS" }, headers);
  deepStrictEqual([status, json], [415, { error: "The body must be sent as application/json" }]);
});
