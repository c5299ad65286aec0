import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { Lot } from "./schemas.ts";

const { api, sql } = await apiOnSeed();

const OPERATOR = "00000000-0000-0000-0000-000000000002";
const RUN = "00000000-0000-4000-8000-000000940001";
const PHASE = "00000000-0000-4000-8000-000000930001";

let codes = 0;
/** A code that no lot has. */
const newCode = () => `NEW-${++codes}`;

/** Stores a lot with these fields. They are JSON text, so that numbers are sent as written. */
async function create(fields: string, code = newCode()) {
  const lotCode = `"lot_code":${JSON.stringify(code)}`;
  const response = await api.post("/api/lots", `{${lotCode}${fields && ","}${fields}}`);
  return { code, response };
}

/** A column's value in the database, as text. */
async function stored(code: string, column: string): Promise<string | null | undefined> {
  const [row] = await sql<{ value: string | null }[]>`
    select ${sql(column)}::text as value from lots where lot_code = ${code}`;
  return row?.value;
}

Deno.test("a lot with every field is stored, and the response has all columns in their order", async () => {
  const lot = {
    id: "aaaaaaaa-0000-4000-8000-000000000001",
    lot_code: "RAW-20260118-DUNA-0001",
    lot_type: "RAW",
    production_run_id: RUN,
    phase_id: PHASE,
    operator_id: OPERATOR,
    weight_kg: "218.40",
    temperature_c: "-3.80",
    metadata: { supplier: "Duna" },
    created_at: "2026-01-18T06:00:00.000Z",
  };
  // Sent in the other order.
  const response = await api.post("/api/lots", Object.fromEntries(Object.entries(lot).reverse()));
  strictEqual(response.status, 201);
  strictEqual(response.text, JSON.stringify(lot));
  const trace = await api.get(`/api/traceability/${lot.lot_code}`);
  deepStrictEqual(trace.json, { central: lot, parents: [], children: [] });
});

Deno.test("absent fields get their defaults, and nulls are written", async () => {
  const before = Date.now();
  const { code, response } = await create("");
  strictEqual(response.status, 201);
  const { id, created_at, ...rest } = Lot.parse(response.json);
  deepStrictEqual(rest, {
    lot_code: code,
    lot_type: null,
    production_run_id: null,
    phase_id: null,
    operator_id: null,
    weight_kg: null,
    temperature_c: null,
    metadata: {},
  });
  match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4/);
  // PostgreSQL runs on this machine: its clock is ours.
  const moment = Date.parse(created_at ?? "");
  ok(before - 1 <= moment && moment <= Date.now(), `${created_at}`);
});

Deno.test("an explicit null stays null, even in a column with a default", async () => {
  const fields = ["lot_type", "production_run_id", "phase_id", "operator_id", "weight_kg"]
    .concat("temperature_c", "metadata", "created_at");
  const { code, response } = await create(fields.map((name) => `"${name}":null`).join());
  const lot = new Map(Object.entries(Lot.parse(response.json)));
  for (const name of fields) {
    strictEqual(lot.get(name), null, name);
    strictEqual(await stored(code, name), null, name);
  }
});

Deno.test("every lot type is accepted, in exactly this case", async () => {
  for (const type of ["RAW", "DEB", "BULK", "MIX", "SKW", "FRZ", "FG"]) {
    strictEqual((await create(`"lot_type":"${type}"`)).response.json.lot_type, type);
    strictEqual((await create(`"lot_type":"${type.toLowerCase()}"`)).response.status, 422);
  }
});

// The text on the right is the value in PostgreSQL and in the response.
const DECIMALS: [sent: string, kept: string][] = [
  ["12.5", "12.5"],
  ["12.50", "12.5"],
  ["0.1", "0.1"],
  ["1e21", "1000000000000000000000"],
  ["1e-7", "0.0000001"],
  ["-18.5", "-18.5"],
  ["-0", "0"],
  ['"12.50"', "12.50"],
  ['"540.0"', "540.0"],
  ['"-0.00"', "0.00"],
  ['"+5"', "5"],
  ['".50"', "0.50"],
  ['"5."', "5"],
  ['"007.10"', "7.10"],
  ['"1.50e1"', "15.0"],
  ['"9007199254740993"', "9007199254740993"],
  ['"0.1000000000000000055511151231257827"', "0.1000000000000000055511151231257827"],
];

for (const [sent, kept] of DECIMALS) {
  Deno.test(`the weight ${sent} is stored as ${kept}`, async () => {
    const { code, response } = await create(`"weight_kg":${sent},"temperature_c":${sent}`);
    deepStrictEqual([response.json.weight_kg, response.json.temperature_c], [kept, kept]);
    strictEqual(await stored(code, "weight_kg"), kept);
    Lot.parse(response.json);
  });
}

const MOMENTS: [sent: string, stored: string, shown: string][] = [
  ["2026-01-19T10:11:12.345678Z", "2026-01-19 10:11:12.345678+00", "2026-01-19T10:11:12.345Z"],
  ["2026-01-19T10:11:12.9999Z", "2026-01-19 10:11:12.9999+00", "2026-01-19T10:11:12.999Z"],
  ["2026-01-19T10:11:12", "2026-01-19 10:11:12+00", "2026-01-19T10:11:12.000Z"],
  ["2026-07-19 10:11:12", "2026-07-19 10:11:12+00", "2026-07-19T10:11:12.000Z"],
  ["2026-01-19 10:11", "2026-01-19 10:11:00+00", "2026-01-19T10:11:00.000Z"],
  ["2026-01-19", "2026-01-19 00:00:00+00", "2026-01-19T00:00:00.000Z"],
  ["2026-01-19t10:11:12z", "2026-01-19 10:11:12+00", "2026-01-19T10:11:12.000Z"],
  ["2026-01-19T00:11:12+01:00", "2026-01-18 23:11:12+00", "2026-01-18T23:11:12.000Z"],
  ["2026-01-19T10:11:12-0530", "2026-01-19 15:41:12+00", "2026-01-19T15:41:12.000Z"],
  ["2026-01-19T10:11:12+02", "2026-01-19 08:11:12+00", "2026-01-19T08:11:12.000Z"],
  ["2016-12-31T23:59:60Z", "2017-01-01 00:00:00+00", "2017-01-01T00:00:00.000Z"],
  ["2024-02-29", "2024-02-29 00:00:00+00", "2024-02-29T00:00:00.000Z"],
  ["0400-02-29", "0400-02-29 00:00:00+00", "0400-02-29T00:00:00.000Z"],
  ["9999-12-31T23:59:59Z", "9999-12-31 23:59:59+00", "9999-12-31T23:59:59.000Z"],
  ["9999-12-31T09:59:59-14:00", "9999-12-31 23:59:59+00", "9999-12-31T23:59:59.000Z"],
  ["9999-12-31T13:29-1030", "9999-12-31 23:59:00+00", "9999-12-31T23:59:00.000Z"],
  ["9999-12-31 23:59:59.999999", "9999-12-31 23:59:59.999999+00", "9999-12-31T23:59:59.999Z"],
  ["0001-01-01", "0001-01-01 00:00:00+00", "0001-01-01T00:00:00.000Z"],
  ["0001-01-01T14:00+14", "0001-01-01 00:00:00+00", "0001-01-01T00:00:00.000Z"],
];

for (const [sent, kept, shown] of MOMENTS) {
  Deno.test(`the time ${sent} is stored as ${kept}`, async () => {
    const { code, response } = await create(`"created_at":"${sent}"`);
    strictEqual(Lot.parse(response.json).created_at, shown);
    strictEqual(await stored(code, "created_at"), kept);
  });
}

const DOCUMENTS: [sent: string, stored: string, shown: unknown][] = [
  ["{}", "{}", {}],
  ["[]", "{}", {}],
  ["[1,[]]", "[1, []]", [1, []]],
  ['[{"a":1}]', '[{"a": 1}]', [{ a: 1 }]],
  ["true", "true", true],
  ["0", "0", 0],
  ["1.50", "1.5", 1.5],
  ['{"bb":1,"a":{"d":null,"c":"é"}}', '{"a": {"c": "é", "d": null}, "bb": 1}', {
    a: { c: "é", d: null },
    bb: 1,
  }],
  ['{"a":1,"a":2}', '{"a": 2}', { a: 2 }],
  ['{"":0,"select 1;--":"\'"}', '{"": 0, "select 1;--": "\'"}', { "": 0, "select 1;--": "'" }],
  ['{"toJSON":1,"constructor":{}}', '{"toJSON": 1, "constructor": {}}', {
    toJSON: 1,
    constructor: {},
  }],
  // Text is a JSON document, stored without a change: no digit is lost in it.
  ['"{}"', "{}", {}],
  ['"[]"', "[]", []],
  ['"null"', "null", null],
  ['"\\"text\\""', '"text"', "text"],
  ['" [1.50] "', "[1.50]", [1.5]],
  [
    '"{\\"n\\":12345678901234567890.1234567890}"',
    '{"n": 12345678901234567890.1234567890}',
    { n: 12345678901234567000 },
  ],
];

for (const [sent, kept, shown] of DOCUMENTS) {
  Deno.test(`the metadata ${sent} is stored as ${kept}`, async () => {
    const { code, response } = await create(`"metadata":${sent}`);
    strictEqual(response.status, 201);
    deepStrictEqual(Lot.parse(response.json).metadata, shown);
    strictEqual(await stored(code, "metadata"), kept);
  });
}

Deno.test("a key called __proto__ in the metadata is data like any other", async () => {
  const { code, response } = await create(
    '"metadata":{"__proto__":{"role":"ADMIN"},"x":1}',
  );
  strictEqual(response.status, 201);
  const kept = '{"x": 1, "__proto__": {"role": "ADMIN"}}';
  strictEqual(await stored(code, "metadata"), kept);
  ok(response.text.includes('"metadata":{"x":1,"__proto__":{"role":"ADMIN"}}'));
});

Deno.test("a UUID may have upper or lower case and is returned in lower case", async () => {
  const { response } = await create(
    `"id":"AAAAAAAA-BBBB-1CCC-8DDD-EeEeEeEeEeEe","operator_id":"${OPERATOR}"`,
  );
  strictEqual(Lot.parse(response.json).id, "aaaaaaaa-bbbb-1ccc-8ddd-eeeeeeeeeeee");
});

Deno.test("a number for a lot code is stored as its text", async () => {
  for (const [sent, kept] of [["42", "42"], ["1.50", "1.5"], ["-0", "0"], ["1e21", "1e+21"]]) {
    const { json } = await api.post("/api/lots", `{"lot_code":${sent}}`);
    strictEqual(Lot.parse(json).lot_code, kept);
    strictEqual(await stored(kept ?? "", "lot_code"), kept);
  }
});

Deno.test("codes are stored without a change, spaces and line breaks too", async () => {
  for (const code of [" a ", "é\u0301", "💩", "a\nb\t\u0001\u007f", "'; drop table lots; --"]) {
    strictEqual((await create("", code)).response.json.lot_code, code);
    strictEqual(await stored(code, "lot_code"), code);
  }
});

/** Text that PostgreSQL can't compress, so that an index entry has its full length. */
function randomText(length: number, alphabet: readonly string[]): string {
  return Array.from(
    crypto.getRandomValues(new Uint32Array(length)),
    (n) => alphabet[n % alphabet.length],
  ).join("");
}

const ASCII = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));
const FOUR_BYTES = Array.from({ length: 4096 }, (_, i) => String.fromCodePoint(0x20000 + i));

for (
  const [what, max, alphabet] of [
    ["2,600 ASCII characters", 2600, ASCII],
    ["650 characters of four bytes", 650, FOUR_BYTES],
  ] as const
) {
  Deno.test(`a code of ${what} is stored, one character more is refused`, async () => {
    const code = randomText(max, alphabet);
    strictEqual((await create("", code)).response.status, 201);
    strictEqual(await stored(code, "lot_code"), code);
    const { response } = await create("", randomText(max + 1, alphabet));
    deepStrictEqual([response.status, response.json.error], [
      422,
      "lot_code must be text of 1 to 650 characters (2,600 if all are ASCII) without NUL",
    ]);
  });
}

Deno.test("parents named in the metadata make no link", async () => {
  const links = await sql`select * from lot_genealogy order by id`;
  await create('"metadata":{"parentLots":["RAW-BEEF-001"]}');
  deepStrictEqual(await sql`select * from lot_genealogy order by id`, links);
});
