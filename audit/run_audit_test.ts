import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { demoDatabase } from "../testing/demo_database.ts";
import { audit, buildPlant, findingsOf, type PlantSketch } from "../testing/audited_plant.ts";
import { type Kind, KINDS } from "./kinds.ts";

const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

/** The names of the numbers of each kind, as openapi.yaml describes them. */
const NUMBERS: Record<Kind, readonly string[]> = {
  cycle: ["length"],
  self_link: ["quantity_kg", "linked_at"],
  half_link: ["quantity_kg", "linked_at"],
  overdrawn: ["weight_kg", "used_kg", "over_kg"],
  gained_weight: ["weight_kg", "inputs_kg", "over_kg"],
  made_of_nothing: ["weight_kg"],
  orphan: ["weight_kg"],
  missing_weight: [],
  negative_weight: ["weight_kg"],
  weight_not_a_number: ["weight_kg"],
  missing_quantity: ["quantity_kg", "linked_at"],
  negative_quantity: ["quantity_kg", "linked_at"],
  quantity_not_a_number: ["quantity_kg", "linked_at"],
  temperature_out_of_range: ["temperature_c", "least_c", "most_c"],
  used_after_fail: ["quantity_kg", "linked_at", "decided_at"],
  used_after_hold: ["quantity_kg", "linked_at", "decided_at"],
  fg_without_pass: ["decisions", "worst"],
};

const FG = { type: "FG" };
const MIX = { type: "MIX" };
const PASSED = (code: string) => [code, "PASS", "2026-01-02"] as const;
const [EARLY, AT, LATE] = ["2026-01-10 08:00", "2026-01-10 09:00", "2026-01-10 10:00"];

/** A lot that is consumed at {@link AT}, with these decisions. */
const used = (
  decisions: readonly (readonly [string | null, string | null, number?])[],
  link: { at?: string | null; childAt?: string | null } = {},
): PlantSketch => ({
  lots: { R: {}, M: { ...MIX, at: link.childAt === undefined ? AT : link.childAt } },
  links: [["R", "M", "100", link.at === undefined ? AT : link.at]],
  decisions: decisions.map(([decision, at, gate]) => ["R", decision, at, gate ?? 1]),
});

/** A box of kebab with these decisions. */
const packed = (decisions: readonly (readonly [string | null, string | null, number?])[]) => ({
  lots: { R: {}, F: FG },
  links: [["R", "F"]] as const,
  decisions: decisions.map(([decision, at, gate]) => ["F", decision, at, gate] as const),
});

const mixOf = (kg: string | null, ...inputs: (string | null)[]): PlantSketch => ({
  lots: {
    M: { ...MIX, kg },
    ...Object.fromEntries(inputs.map((_, i) => [`R${i}`, { kg: "100000" }])),
  },
  links: inputs.map((kg, i) => [`R${i}`, "M", kg] as const),
});

const taken = (kg: string | null, ...quantities: (string | null)[]): PlantSketch => ({
  lots: {
    R: { kg },
    ...Object.fromEntries(quantities.map((_, i) => [`M${i}`, { ...MIX, kg: "0" }])),
  },
  links: quantities.map((kg, i) => ["R", `M${i}`, kg] as const),
});

const CASES: [name: string, plant: PlantSketch, findings: string[]][] = [
  ["an empty plant", { lots: {} }, []],
  ["fresh raw material", { lots: { R: {} } }, []],
  ["a plant in order", {
    lots: { R: { c: "3.5" }, S: { kg: "2", c: "19" }, M: { ...MIX, kg: "101", c: "-1" }, F: FG },
    links: [["R", "M", "100"], ["S", "M", "2"], ["M", "F", "101"]],
    decisions: [PASSED("F")],
  }, []],

  ["two lots made of each other", {
    lots: { A: MIX, B: MIX },
    links: [["A", "B"], ["B", "A"]],
  }, ["cycle A B"]],
  ["a cycle far from any end, with a link twice", {
    lots: { R: {}, A: { ...MIX, kg: "300" }, B: MIX, C: { ...MIX, kg: "200" }, F: FG },
    links: [
      ["R", "A"],
      ["A", "B"],
      ["A", "B", "1"],
      ["B", "C"],
      ["C", "A"],
      ["C", "F"],
      ["R", "C", "0"],
      ["R", "A", "0"],
    ].map(([p, c, kg]) => [p ?? "", c ?? "", kg ?? "100"] as const),
    decisions: [PASSED("F")],
  }, ["cycle A B C", "gained_weight A", "gained_weight C"]],
  ["two ways from one lot to another", {
    lots: { R: { kg: "200" }, A: MIX, B: MIX, C: { ...MIX, kg: "200" } },
    links: [["R", "A"], ["R", "B"], ["A", "C"], ["B", "C"]],
  }, []],
  ["a lot linked to itself, which makes it neither parent nor child", {
    lots: { M: { ...MIX, kg: "10" } },
    links: [["M", "M", "500"]],
  }, ["made_of_nothing M", "orphan M", "self_link M"]],
  ["a link without parent, without child, without both", {
    lots: { R: {}, M: MIX },
    links: [[null, "M"], ["R", null], [null, null]],
  }, ["half_link", "half_link M", "half_link R", "made_of_nothing M"]],

  ["all of a lot taken", taken("100.00", "60", "40.0"), []],
  ["more taken than there was, in links that are each small", taken("100", "60", "40.01"), [
    "overdrawn R",
  ]],
  ["a pair linked twice", {
    lots: { R: {}, M: MIX },
    links: [["R", "M", "60"], ["R", "M", "60"]],
  }, ["overdrawn R"]],
  ["more taken for nobody knows what", { lots: { R: {} }, links: [["R", null, "101"]] }, [
    "half_link R",
    "overdrawn R",
  ]],
  ["a booking that was taken back", taken("100", "90", "-90", "90"), ["negative_quantity R M1"]],
  ["too much besides what isn't known", taken("100", null, "101"), [
    "missing_quantity R M0",
    "overdrawn R",
  ]],
  ["quantities that are no numbers say nothing of weights", taken("100", "NaN", "Infinity", "1"), [
    "quantity_not_a_number R M0",
    "quantity_not_a_number R M1",
  ]],
  ["a quantity of minus infinity", taken("100", "-Infinity", "1"), ["quantity_not_a_number R M0"]],
  ["taken from a weight that is no number", taken("NaN", "5"), ["weight_not_a_number R"]],
  ["taken from an infinite weight", taken("-Infinity", "5"), ["weight_not_a_number R"]],
  ["taken from a weight that isn't known", taken(null, "5"), ["missing_weight R"]],
  ["taken from a negative weight", taken("-1", "5"), ["negative_weight R"]],
  ["taken from a weight of 0", taken("0", "5"), ["overdrawn R"]],

  ["as heavy as its inputs and the tolerance", mixOf("102", "60", "40"), []],
  ["heavier than that", mixOf("102.0001", "60", "40"), ["gained_weight M"]],
  ["lighter", mixOf("50", "100"), []],
  ["made of 0 kg", mixOf("1", "0"), ["gained_weight M"]],
  ["made of half a link", { lots: { M: MIX }, links: [[null, "M", "100"]] }, [
    "half_link M",
    "made_of_nothing M",
  ]],
  ["inputs that aren't all known", mixOf("500", "60", null), ["missing_quantity R1 M"]],
  ["inputs that are no numbers", mixOf("500", "60", "NaN"), ["quantity_not_a_number R1 M"]],
  ["a link to itself among the inputs", {
    lots: { R: {}, M: { ...MIX, kg: "200" } },
    links: [["R", "M"], ["M", "M", "150"]],
  }, ["gained_weight M", "self_link M"]],
  ["an input of less than nothing", mixOf("1", "-5"), [
    "gained_weight M",
    "negative_quantity R0 M",
  ]],
  ["a weight that is no number and an infinite one", {
    lots: { R: { kg: "1000" }, A: { ...MIX, kg: "NaN" }, B: { ...MIX, kg: "Infinity" } },
    links: [["R", "A"], ["R", "B"]],
  }, ["weight_not_a_number A", "weight_not_a_number B"]],
  ["a weight of thousands of digits", mixOf("9".repeat(5_000), "1"), ["gained_weight M"]],

  ["made of nothing, with a child", {
    lots: { M: MIX, F: FG },
    links: [["M", "F"]],
    decisions: [PASSED("F")],
  }, ["made_of_nothing M"]],
  ["linked to nothing", { lots: { M: MIX, N: { type: null }, R: {} } }, [
    "made_of_nothing M",
    "made_of_nothing N",
    "orphan M",
    "orphan N",
  ]],

  ["no weight, a weight below zero, a weight of 0", {
    lots: { A: { kg: null }, B: { kg: "-0.001" }, C: { kg: "0" }, D: { kg: "-Infinity" } },
  }, ["missing_weight A", "negative_weight B", "weight_not_a_number D"]],

  ["temperatures at the limits", {
    lots: { A: { c: "-25" }, B: { c: "25.0" }, C: { c: null } },
  }, []],
  ["temperatures beyond them", {
    lots: {
      A: { c: "-25.01" },
      B: { c: "25.01" },
      C: { c: "NaN" },
      D: { type: null, c: "99" },
      E: { type: "FRZ", c: "-17.9" },
    },
    links: [["A", "D", "0"], ["A", "E"]],
  }, [
    "gained_weight D",
    "temperature_out_of_range A",
    "temperature_out_of_range B",
    "temperature_out_of_range C",
    "temperature_out_of_range E",
  ]],

  ["used after a PASS", used([["PASS", EARLY]]), []],
  ["used after a FAIL", used([["FAIL", EARLY]]), ["used_after_fail R M"]],
  ["used after a HOLD", used([["HOLD", EARLY]]), ["used_after_hold R M"]],
  ["used before a FAIL", used([["PASS", EARLY], ["FAIL", LATE]]), []],
  ["used at the moment of a FAIL", used([["FAIL", AT]]), []],
  ["used after a release", used([["FAIL", EARLY], ["PASS", "2026-01-10 08:30"]]), []],
  ["used at the moment of a release", used([["FAIL", EARLY], ["PASS", AT]]), []],
  ["used before the release", used([["HOLD", EARLY], ["PASS", LATE]]), ["used_after_hold R M"]],
  ["passed by another gate alone", used([["FAIL", EARLY, 1], ["PASS", EARLY, 2]]), [
    "used_after_fail R M",
  ]],
  ["passed by another gate later", used([["HOLD", EARLY, 1], ["PASS", "2026-01-10 08:30", 2]]), [
    "used_after_hold R M",
  ]],
  ["failed, then on hold", used([["FAIL", EARLY], ["HOLD", "2026-01-10 08:30"]]), [
    "used_after_hold R M",
  ]],
  ["failed, and on hold from the moment of the use on", used([["FAIL", EARLY], ["HOLD", AT]]), [
    "used_after_fail R M",
  ]],
  ["failed by one gate and held by another", used([["FAIL", EARLY, 1], ["HOLD", EARLY, 2]]), [
    "used_after_fail R M",
    "used_after_hold R M",
  ]],
  ["failed by two gates", used([["FAIL", EARLY, 1], ["FAIL", EARLY, 2]]), ["used_after_fail R M"]],
  ["FAIL and PASS of one moment", used([["PASS", EARLY], ["FAIL", EARLY]]), [
    "used_after_fail R M",
  ]],
  [
    "failed twice, then passed",
    used([
      ["FAIL", "2026-01-09"],
      ["FAIL", EARLY],
      ["PASS", "2026-01-10 08:30"],
    ]),
    [],
  ],
  ["a FAIL without a time", used([["FAIL", null]]), []],
  ["a PASS without a time doesn't release", used([["FAIL", EARLY], ["PASS", null]]), [
    "used_after_fail R M",
  ]],
  ["a record without a verdict doesn't either", used([["FAIL", EARLY], [null, AT]]), [
    "used_after_fail R M",
  ]],
  ["used at no known time for a lot of a known one", used([["FAIL", EARLY]], { at: null }), [
    "used_after_fail R M",
  ]],
  ["used at no known time", used([["FAIL", EARLY]], { at: null, childAt: null }), []],
  ["used for nobody knows what after a FAIL", {
    lots: { R: {} },
    links: [["R", null, "5", AT]],
    decisions: [["R", "FAIL", EARLY]],
  }, ["half_link R", "used_after_fail R"]],
  ["two uses after one FAIL", {
    lots: { R: { kg: "200" }, M: MIX, N: MIX },
    links: [["R", "M", "100", AT], ["R", "N", "100", LATE]],
    decisions: [["R", "FAIL", EARLY]],
  }, ["used_after_fail R M", "used_after_fail R N"]],
  ["linked to itself after a FAIL", {
    lots: { R: {} },
    links: [["R", "R", "1", AT]],
    decisions: [["R", "FAIL", EARLY]],
  }, ["self_link R"]],
  ["failed for ever", used([["FAIL", "-infinity"]]), ["used_after_fail R M"]],

  ["a passed FG", packed([["PASS", AT]]), []],
  ["an FG without decisions", packed([]), ["fg_without_pass F"]],
  ["an FG with a record without a verdict", packed([[null, AT]]), ["fg_without_pass F"]],
  ["an FG with such a record after its PASS", packed([["PASS", EARLY], [null, AT]]), []],
  ["an FG on hold after its PASS", packed([["PASS", EARLY], ["HOLD", AT]]), ["fg_without_pass F"]],
  ["an FG released", packed([["HOLD", EARLY], ["PASS", AT]]), []],
  [
    "an FG passed by one gate and failed by another",
    packed([["FAIL", EARLY, 1], ["PASS", AT, 2]]),
    [
      "fg_without_pass F",
    ],
  ],
  ["an FG with PASS and HOLD of one moment", packed([["PASS", AT], ["HOLD", AT]]), [
    "fg_without_pass F",
  ]],
  ["an FG whose one PASS has no time", packed([["PASS", null]]), []],
  ["an FG whose PASS without a time comes before a HOLD", packed([["PASS", null], ["HOLD", AT]]), [
    "fg_without_pass F",
  ]],
];

for (const [name, plant, expected] of CASES) {
  Deno.test(`${name}: ${expected.join(", ") || "nothing is found"}`, async () => {
    await buildPlant(sql, plant);
    const { run, summary } = await audit(database);
    deepStrictEqual(await findingsOf(sql, run), expected.map((line) => `new ${line}`));
    strictEqual(summary.findings.reduce((sum, { found }) => sum + found, 0), expected.length);
    const rows = await sql<{ kind: Kind; severity: string; numbers: object }[]>`
      select kind, severity, numbers from lotline.audit_findings where run = ${run}`;
    for (const { kind, severity, numbers } of rows) {
      strictEqual(severity, KINDS[kind].severity);
      deepStrictEqual(Object.keys(numbers).sort(), NUMBERS[kind].toSorted(), kind);
    }
  });
}

Deno.test("each kind of finding has cases", () => {
  const kinds = new Set(CASES.flatMap(([, , lines]) => lines.map((line) => line.split(" ")[0])));
  deepStrictEqual([...kinds].sort(), Object.keys(KINDS).sort());
});

/** The numbers of the only finding. */
async function numbersIn(plant: PlantSketch) {
  await buildPlant(sql, plant);
  const { run } = await audit(database);
  const rows = await sql`select numbers from lotline.audit_findings where run = ${run}`;
  strictEqual(rows.length, 1);
  return rows[0]?.numbers;
}

Deno.test("numbers are PostgreSQL's decimals, with their scale", async () => {
  deepStrictEqual(await numbersIn(taken("100.00", "60", "40.010")), {
    weight_kg: "100.00",
    used_kg: "100.010",
    over_kg: "0.010",
  });
  deepStrictEqual(await numbersIn(mixOf("5".repeat(5_000), "1.5")), {
    weight_kg: "5.55556e+4999",
    inputs_kg: "1.5",
    over_kg: "5.55556e+4999",
  });
  deepStrictEqual(await numbersIn({ lots: { R: { c: "NaN" } } }), {
    temperature_c: "NaN",
    least_c: "-25",
    most_c: "25",
  });
  deepStrictEqual(await numbersIn(used([["HOLD", EARLY]])), {
    quantity_kg: "100",
    linked_at: "2026-01-10T09:00:00.000Z",
    decided_at: "2026-01-10T08:00:00.000Z",
  });
  deepStrictEqual(await numbersIn(packed([["HOLD", EARLY], ["PASS", AT, 1]])), {
    decisions: 2,
    worst: "HOLD",
  });
});

Deno.test("thresholds are settings: what they allow is no finding", async () => {
  await buildPlant(sql, {
    lots: { R: { c: "4" }, M: { ...MIX, c: "50", kg: "110" } },
    links: [["R", "M", "100"]],
  });
  const limits = { tolerancePercent: "10", temperatures: { RAW: { least: "4.5", most: "9" } } };
  const { run, summary } = await audit(database, { limits });
  deepStrictEqual(await findingsOf(sql, run), ["new temperature_out_of_range R"]);
  deepStrictEqual([summary.tolerance_percent, summary.temperatures], ["10", limits.temperatures]);
});

Deno.test("a long cycle is named by its first lots and its length", async () => {
  const codes = Array.from({ length: 60 }, (_, i) => `L${i}`);
  await buildPlant(sql, {
    lots: Object.fromEntries(codes.map((code) => [code, MIX])),
    links: codes.map((code, i) => [code, codes[(i + 1) % 60] ?? ""]),
  });
  const { run } = await audit(database);
  const [found] = await sql<{ lot_codes: string; numbers: object }[]>`
    select to_jsonb(lot_codes) as lot_codes, numbers from lotline.audit_findings where run = ${run}`;
  deepStrictEqual([found?.lot_codes.length, found?.numbers], [50, { length: 60 }]);
  const places = [...found?.lot_codes ?? []].map((code) => codes.indexOf(code));
  ok(places.every((place, i) => i === 0 || place === ((places[i - 1] ?? NaN) + 1) % 60));
});

Deno.test("the audit finds the two mistakes of the demo plant, and nothing else", async () => {
  await using demo = await demoDatabase(new Date("2026-03-13T17:30:00Z"));
  const { run } = await audit(demo);
  const rows = await demo.sql<{ kind: string; codes: string[] }[]>`
    select kind, to_jsonb(lot_codes) as codes from lotline.audit_findings where run = ${run}
    order by kind`;
  deepStrictEqual(rows.map(({ kind, codes }) => [kind, codes[0]?.slice(0, 4)]), [
    ["gained_weight", "BULK"],
    ["temperature_out_of_range", "FRZ-"],
  ]);
});
