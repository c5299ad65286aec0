import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { Trace } from "./get_traceability.ts";
import { ErrorResponse } from "./responses.ts";

const { api, sql } = await apiOnSeed();

/** The response for a code, which is encoded here. */
const trace = (code: string) => api.get(`/api/traceability/${encodeURIComponent(code)}`);

/** Stores a lot with just this code; returns its id. */
async function insertLot(code: string): Promise<string> {
  const [lot] = await sql<{ id: string }[]>`
    insert into lots (lot_code) values (${code}) returning id`;
  return lot?.id ?? "";
}

interface Link {
  readonly parent: string | null;
  readonly child: string | null;
  readonly at?: string | null;
  readonly id?: string;
}

async function insertLink({ parent, child, at, id }: Link): Promise<void> {
  await sql`insert into lot_genealogy (id, parent_lot_id, child_lot_id, linked_at)
    values (${id ?? crypto.randomUUID()}, ${parent}, ${child},
      ${at === undefined ? "2026-01-18" : at})`;
}

/** The codes of a trace's two sides. */
async function codesAround(code: string): Promise<{ parents: string[]; children: string[] }> {
  const { parents, children } = Trace.parse((await trace(code)).json);
  return { parents: parents.map((l) => l.lot_code), children: children.map((l) => l.lot_code) };
}

Deno.test("a trace shows the lot with all columns in their order and the database's values", async () => {
  await sql`insert into lots values (
    '0A0A0A0A-0000-4000-8000-000000000001', 'ALL-COLUMNS', 'MIX', null, null,
    '00000000-0000-0000-0000-000000000002', 540.0, -18.50, '{"bb": 1.10, "a": [1, null]}',
    '2026-01-18 08:01:02.123999+01')`;
  const response = await trace("ALL-COLUMNS");
  strictEqual(response.status, 200);
  strictEqual(
    response.text,
    '{"central":{"id":"0a0a0a0a-0000-4000-8000-000000000001","lot_code":"ALL-COLUMNS",' +
      '"lot_type":"MIX","production_run_id":null,"phase_id":null,' +
      '"operator_id":"00000000-0000-0000-0000-000000000002","weight_kg":"540.0",' +
      '"temperature_c":"-18.50","metadata":{"a":[1,null],"bb":1.1},' +
      '"created_at":"2026-01-18T07:01:02.123Z"},"parents":[],"children":[]}',
  );
});

Deno.test("numeric, time and JSON values of every kind have the old server's form", async () => {
  const rows: [sqlValue: string, column: string, shown: unknown][] = [
    ["'NaN'", "weight_kg", "NaN"],
    ["'-Infinity'", "weight_kg", "-Infinity"],
    ["0.00", "weight_kg", "0.00"],
    ["12345678901234567890.123456789", "weight_kg", "12345678901234567890.123456789"],
    ["null", "weight_kg", null],
    ["null", "metadata", null],
    ["'null'", "metadata", null],
    ["'[]'", "metadata", []],
    ["'\"text\"'", "metadata", "text"],
    ["'5'", "metadata", 5],
    ["'false'", "metadata", false],
    ["null", "created_at", null],
    ["'infinity'", "created_at", null],
    ["'2026-01-18 00:00:00'", "created_at", "2026-01-18T00:00:00.000Z"],
    ["'1969-12-31 23:59:59.9999Z'", "created_at", "1969-12-31T23:59:59.999Z"],
  ];
  for (const [i, [value, column, shown]] of rows.entries()) {
    await sql.unsafe(`insert into lots (lot_code, ${column}) values ('VALUE-${i}', ${value})`);
    const { central } = Trace.parse((await trace(`VALUE-${i}`)).json);
    deepStrictEqual(new Map(Object.entries(central)).get(column), shown, `${column} ${value}`);
  }
});

Deno.test("parents and children are one hop apart, each on its side, as full lots", async () => {
  const [raw, mix, fg, sale] = [
    await insertLot("HOP-RAW"),
    await insertLot("HOP-MIX"),
    await insertLot("HOP-FG"),
    await insertLot("HOP-SALE"),
  ];
  await insertLink({ parent: raw, child: mix });
  await insertLink({ parent: mix, child: fg });
  await insertLink({ parent: fg, child: sale });
  deepStrictEqual(await codesAround("HOP-RAW"), { parents: [], children: ["HOP-MIX"] });
  deepStrictEqual(await codesAround("HOP-MIX"), { parents: ["HOP-RAW"], children: ["HOP-FG"] });
  const { central, parents: [parent] } = Trace.parse((await trace("HOP-MIX")).json);
  deepStrictEqual([central.id, parent?.id], [mix, raw]);
  deepStrictEqual(parent, Trace.parse((await trace("HOP-RAW")).json).central);
});

Deno.test("links have the order of their creation, those of one moment the order of their ids", async () => {
  const centre = await insertLot("ORDER");
  const links: [name: string, at: string | null, id: string][] = [
    ["third", "2026-01-03", "00000000-0000-4000-8000-00000000cc01"],
    ["second-b", "2026-01-02 00:00:00.000002", "00000000-0000-4000-8000-00000000cc09"],
    ["second-a", "2026-01-02 00:00:00.000002", "00000000-0000-4000-8000-00000000cc05"],
    ["never", null, "00000000-0000-4000-8000-00000000cc02"],
    ["first", "2026-01-02 00:00:00.000001", "00000000-0000-4000-8000-00000000cc0a"],
  ];
  for (const [name, at, id] of links) {
    const [parent, child] = [await insertLot(`P-${name}`), await insertLot(`C-${name}`)];
    await insertLink({ parent, child: centre, at, id });
    await insertLink({ parent: centre, child, at, id: id.replace("cc", "dd") });
  }
  const order = ["first", "second-a", "second-b", "third", "never"];
  deepStrictEqual(await codesAround("ORDER"), {
    parents: order.map((name) => `P-${name}`),
    children: order.map((name) => `C-${name}`),
  });
});

Deno.test("a lot that is linked twice is listed twice", async () => {
  const [one, other, late] = [
    await insertLot("DOUBLE"),
    await insertLot("DOUBLE-PARENT"),
    await insertLot("DOUBLE-LATE"),
  ];
  await insertLink({ parent: other, child: one, at: "2026-01-01" });
  await insertLink({ parent: late, child: one, at: "2026-01-02" });
  await insertLink({ parent: other, child: one, at: "2026-01-03" });
  const { parents } = await codesAround("DOUBLE");
  deepStrictEqual(parents, ["DOUBLE-PARENT", "DOUBLE-LATE", "DOUBLE-PARENT"]);
});

Deno.test("a lot may be its own parent, and two lots each other's", async () => {
  const [self, a, b] = [await insertLot("SELF"), await insertLot("A"), await insertLot("B")];
  await insertLink({ parent: self, child: self });
  await insertLink({ parent: a, child: b });
  await insertLink({ parent: b, child: a });
  deepStrictEqual(await codesAround("SELF"), { parents: ["SELF"], children: ["SELF"] });
  deepStrictEqual(await codesAround("A"), { parents: ["B"], children: ["B"] });
});

Deno.test("links with a missing side are left out", async () => {
  const half = await insertLot("HALF");
  await insertLink({ parent: null, child: half });
  await insertLink({ parent: half, child: null });
  await insertLink({ parent: null, child: null });
  deepStrictEqual(await codesAround("HALF"), { parents: [], children: [] });
});

Deno.test("a lot with 300 children shows them all", async () => {
  await sql`insert into lots (lot_code) values ('MANY')`;
  await sql`insert into lots (lot_code) select 'MANY-' || n from generate_series(1, 300) n`;
  await sql`insert into lot_genealogy (parent_lot_id, child_lot_id, linked_at)
    select parent.id, child.id, timestamptz '2026-01-01' + substr(child.lot_code, 6)::int * interval '1 s'
    from lots parent, lots child where parent.lot_code = 'MANY' and child.lot_code like 'MANY-%'`;
  const { children } = await codesAround("MANY");
  deepStrictEqual(children, Array.from({ length: 300 }, (_, i) => `MANY-${i + 1}`));
});

const ODD_CODES = [
  "a/b",
  "../config.ts",
  "with space",
  "plus+sign",
  "per%cent",
  "%2F",
  "ÉKEZET-Ű",
  "💩",
  "quote'\"--",
  "semi;colon?and#hash&more=1",
  "back\\slash",
  "tab\tand\nline",
  "__proto__",
  ":lotCode",
];

for (const code of ODD_CODES) {
  Deno.test(`the code ${JSON.stringify(code)} is found, and only by an exact match`, async () => {
    await insertLot(code);
    strictEqual(Trace.parse((await trace(code)).json).central.lot_code, code);
    strictEqual((await trace(`${code} `)).status, 404);
  });
}

Deno.test("the case of the code matters, the case of the path and its query doesn't", async () => {
  await insertLot("Case-1");
  strictEqual((await api.get("/API/TraceAbility/Case-1/?q=%zz&lotCode=x")).status, 200);
  for (const code of ["case-1", "CASE-1", "Case-", "Case-1%", "Case-_"]) {
    strictEqual((await trace(code)).status, 404, code);
  }
});

Deno.test("the longest code that can be stored can be traced", async () => {
  const code = "💩".repeat(650);
  await insertLot(code);
  strictEqual(Trace.parse((await trace(code)).json).central.lot_code, code);
});

const REFUSED: [path: string, status: number, error: string][] = [
  ["/api/traceability/NO-SUCH-LOT", 404, "Lot not found"],
  ["/api/traceability/' or ''='", 404, "Lot not found"],
  ["/api/traceability/%EF%BF%BF", 404, "Lot not found"],
  ["/api/traceability/", 404, "There is nothing at this path: /openapi.yaml lists all paths"],
  ["/api/traceability/a/b", 404, "There is nothing at this path: /openapi.yaml lists all paths"],
  ["/api/traceability/%", 400, "The path holds a broken percent escape"],
  ["/api/traceability/%zz", 400, "The path holds a broken percent escape"],
  ["/api/traceability/%E9", 400, "The path holds a broken percent escape"],
  ["/api/traceability/%ED%A0%80", 400, "The path holds a broken percent escape"],
  ["/api/traceability/a%00b", 422, "lotCode must not hold NUL"],
];

for (const [path, status, error] of REFUSED) {
  Deno.test(`${path} is ${status} "${error}"`, async () => {
    const response = await api.get(path);
    const body = ErrorResponse.parse(response.json);
    deepStrictEqual([response.status, body.error], [status, error]);
    deepStrictEqual(
      body.details,
      status === 422 ? [{ path: "lotCode", message: "must not hold NUL" }] : undefined,
    );
  });
}

Deno.test("a row stored between two reads is in the second", async () => {
  const centre = await insertLot("FRESH");
  const before = await trace("FRESH");
  const parent = await insertLot("FRESH-PARENT");
  await insertLink({ parent, child: centre });
  const etag = before.headers.get("etag") ?? "";
  const after = await api.get("/api/traceability/FRESH", { "if-none-match": etag });
  strictEqual(after.status, 200);
  deepStrictEqual(Trace.parse(after.json).parents.map((lot) => lot.lot_code), ["FRESH-PARENT"]);
});
