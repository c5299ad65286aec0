import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { ErrorResponse } from "./responses.ts";

const { api, sql } = await apiOnSeed();

const NOBODY = "99999999-9999-4999-8999-999999999999";

let codes = 0;
/** A code that no lot has. */
const newCode = () => `NEW-${++codes}`;

async function countLots(): Promise<number> {
  const [row] = await sql<{ count: number }[]>`select count(*)::int from lots`;
  return row?.count ?? NaN;
}

const LOT_ID = "11111111-1111-1111-1111-111111111101";

const CONFLICTS: [what: string, body: Record<string, unknown>, error: string][] = [
  ["a taken code", { lot_code: "RAW-BEEF-001" }, "Lot code RAW-BEEF-001 is taken"],
  ["a taken id", { lot_code: "TAKEN-ID", id: LOT_ID }, `Lot id ${LOT_ID} is taken`],
  [
    "an unknown run",
    { lot_code: "NO-RUN", production_run_id: NOBODY },
    "production_run_id names no production run that exists",
  ],
  [
    "an unknown phase",
    { lot_code: "NO-PHASE", phase_id: NOBODY },
    "phase_id names no phase that exists",
  ],
  [
    "an unknown operator",
    { lot_code: "NO-OPERATOR", operator_id: NOBODY },
    "operator_id names no user that exists",
  ],
];

for (const [what, body, error] of CONFLICTS) {
  Deno.test(`${what} is refused with 409 and nothing is stored`, async () => {
    const before = await countLots();
    const response = await api.post("/api/lots", body);
    deepStrictEqual([response.status, ErrorResponse.parse(response.json)], [409, { error }]);
    strictEqual(await countLots(), before);
  });
}

Deno.test("of concurrent lots with one code, one is stored and the others get 409", async () => {
  const bodies = Array.from({ length: 20 }, () => api.post("/api/lots", { lot_code: "RACE" }));
  const statuses = (await Promise.all(bodies)).map(({ status }) => status).sort();
  deepStrictEqual(statuses, [201, ...Array(19).fill(409)]);
});

const DECIMAL = 'must be a finite number, or a plain decimal as text such as "12.50"';
const UUID = "must be a UUID, such as 11111111-1111-1111-1111-111111111101";
const MOMENT = "must be an RFC 3339 time, or a date with or without a time of day " +
  '("2026-01-19 10:11:12")';
const TYPE = "must be one of RAW, DEB, BULK, MIX, SKW, FRZ, FG";
const CODE = "must be a lot code: text or a number";
const NO_DOCUMENT = "is text that is not a JSON document";

const REFUSED: Record<string, [message: string, values: string[]]> = {
  lot_code: [CODE, ["null", "{}", "[]", '["a"]', "1e400"]],
  id: [UUID, ["null", '""', '"x"', "5", `"${NOBODY}0"`, `"{${NOBODY}"`, '"99999999"']],
  lot_type: [TYPE, ['""', '"raw"', '"RAW "', "5", "[]", "true"]],
  production_run_id: [UUID, ['"3"', "3", '""', "{}"]],
  phase_id: [UUID, ['"3"', '"not-a-uuid"']],
  operator_id: [UUID, ['"3"', "true"]],
  weight_kg: [
    DECIMAL,
    ['""', '"heavy"', '"NaN"', '"Infinity"', '"1,5"', '"1 1"', '"1e99999"', '"0x1G"', '"1e"']
      .concat("true", "{}", "[1]", "1e400", "-1e400", `"${"1".repeat(1001)}"`),
  ],
  temperature_c: [DECIMAL, ['"cold"', '"--1"', '"."', '"-"']],
  metadata: [NO_DOCUMENT, ['""', '"text"', '"{"', "\"{'a':1}\"", '"NaN"']],
  created_at: [
    MOMENT,
    ['"now"', '"infinity"', '"tomorrow 10:00"', '"Epoch"', "true", "{}", '["2026-01-19"]'],
  ],
};

for (const [field, [message, values]] of Object.entries(REFUSED)) {
  Deno.test(`${field} ${message}: anything else is 422 and stores nothing`, async () => {
    const before = await countLots();
    for (const value of values) {
      const code = field === "lot_code" ? "" : `"lot_code":"${newCode()}",`;
      const response = await api.post("/api/lots", `{${code}"${field}":${value}}`);
      deepStrictEqual([response.status, ErrorResponse.parse(response.json)], [422, {
        error: `${field} ${message}`,
        details: [{ path: field, message }],
      }], value);
    }
    strictEqual(await countLots(), before);
  });
}

const UNREADABLE = ["", "2023-02-29", "1900-02-29", "2026-13-01", "2026-04-31", "0000-01-01"]
  .concat("2026-01-19T10:60Z", "19.01.2026", "2026-01-19T10:11:12+16:00", "noon", "2026-W03-1");

Deno.test("a moment that PostgreSQL can't read is 422 and stores nothing", async () => {
  const message = "must be a moment that can be read";
  const before = await countLots();
  for (const created_at of [...UNREADABLE, 1768817472345]) {
    const response = await api.post("/api/lots", { lot_code: newCode(), created_at });
    deepStrictEqual([response.status, ErrorResponse.parse(response.json)], [422, {
      error: `created_at ${message}`,
      details: [{ path: "created_at", message }],
    }], String(created_at));
  }
  strictEqual(await countLots(), before);
});

const BEYOND_YEARS = [
  "9999-12-31T23:59:59-14:00",
  "9999-12-31T23:59:60Z",
  "Jan 1 12026",
  "9999-12-31T10:00-14",
]
  .concat("9999-12-31 23:59:59.9999999", "0001-01-01T00:00:00+14:00", "0001-01-01T00:00+00:01");

for (const moment of BEYOND_YEARS) {
  Deno.test(`the time ${moment} has no year of four digits in UTC: 422, and nothing is stored`, async () => {
    const message = "must be in the years 0001 to 9999 of UTC";
    const before = await countLots();
    const lot = await api.post("/api/lots", { lot_code: newCode(), created_at: moment });
    const decision = await api.post("/api/qc-decisions", { decided_at: moment });
    for (const [path, response] of [["created_at", lot], ["decided_at", decision]] as const) {
      deepStrictEqual([response.status, ErrorResponse.parse(response.json)], [422, {
        error: `${path} ${message}`,
        details: [{ path, message }],
      }]);
    }
    strictEqual(await countLots(), before);
    const [row] = await sql`select count(*)::int as count from qc_decisions
      where decided_at >= '10000-01-01' or decided_at < '0001-01-01'`;
    strictEqual(row?.count, 0);
  });
}

const UNSTORABLE: [fields: string, error: string][] = [
  ['"metadata":{"a":["\\u0000"]}', "metadata.a.0 holds a NUL character"],
  ['"metadata":{"\\u0000":1}', "metadata holds a NUL character"],
  ['"metadata":"\\"\\\\u0000\\""', "metadata holds a NUL character"],
  ['"metadata":["\\ud800"]', "metadata.0 holds half of a surrogate pair"],
  ['"metadata":{"a":1e400}', "metadata.a is too large a number"],
  ['"metadata":"[1e400]"', "metadata.0 is too large a number"],
  [`"metadata":"${"[".repeat(33)}${"]".repeat(33)}"`, "metadata is nested deeper than 32"],
  // Of two equal keys our parser sees only the last one; PostgreSQL reads both.
  ['"metadata":"{\\"a\\":\\"\\\\u0000\\",\\"a\\":1}"', "A value is not one that can be stored"],
];

for (const [fields, error] of UNSTORABLE) {
  Deno.test(`${fields.slice(0, 60)} is 422: ${error}`, async () => {
    const before = await countLots();
    const response = await api.post("/api/lots", `{"lot_code":"${newCode()}",${fields}}`);
    deepStrictEqual([response.status, ErrorResponse.parse(response.json).error], [422, error]);
    strictEqual(await countLots(), before);
  });
}

Deno.test("a code with NUL, or with half of a surrogate pair, is 422", async () => {
  const nul = await api.post("/api/lots", '{"lot_code":"a\\u0000"}');
  match(nul.json.error, /^lot_code must be text of 1 to 650 characters .* without NUL$/);
  const half = await api.post("/api/lots", '{"lot_code":"a\\ud800b"}');
  strictEqual(half.json.error, "lot_code must not hold half of a surrogate pair");
  deepStrictEqual([nul.status, half.status], [422, 422]);
});

const INJECTIONS = [
  "lot_code) values ('INJECTED') --",
  "lot_code\") values ('INJECTED') --",
  "weight_kg = 1; drop table qc_decisions; --",
  "1",
  "",
  "LOT_CODE",
  "lots.lot_type",
  "__proto__",
  "constructor",
  "toString",
];

for (const key of INJECTIONS) {
  Deno.test(`the key ${JSON.stringify(key)} is refused, is never SQL, and nothing is stored`, async () => {
    const before = await countLots();
    const field = `${JSON.stringify(key)}:"RAW"`;
    const response = await api.post("/api/lots", `{"lot_code":"${newCode()}",${field}}`);
    deepStrictEqual([response.status, ErrorResponse.parse(response.json)], [422, {
      error: `${key || "The body"} is not a field of this request`,
      details: [{ path: key, message: "is not a field of this request" }],
    }]);
    strictEqual(await countLots(), before);
  });
}

Deno.test("a body that is no object with a code is refused", async () => {
  for (
    const [body, status, error] of [
      ["", 422, "lot_code is missing"],
      ["{}", 422, "lot_code is missing"],
      ["[]", 422, "The body must be of type object"],
      ['[{"lot_code":"A"}]', 422, "The body must be of type object"],
      ["null", 400, "The body must be a JSON object"],
      ['"A"', 400, "The body must be a JSON object"],
      ["{", 400, "The body is not valid JSON: it ends too early, at line 1, column 2"],
    ]
  ) {
    const response = await api.post("/api/lots", body);
    deepStrictEqual([response.status, ErrorResponse.parse(response.json).error], [status, error]);
  }
});

Deno.test("a body of another type is 415 and stores nothing", async () => {
  const before = await countLots();
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "text/json"]) {
    const response = await api.post("/api/lots", { lot_code: newCode() }, { "content-type": type });
    deepStrictEqual([response.status, response.json], [415, {
      error: "The body must be sent as application/json",
    }]);
  }
  strictEqual(await countLots(), before);
});
