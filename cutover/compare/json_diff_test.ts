import { deepStrictEqual } from "node:assert/strict";
import { bodyDifferences } from "./json_diff.ts";
import type { Generated } from "./generated_fields.ts";
import { parseLosslessJson, stringOf } from "../exchange/lossless_json.ts";

const LINKED = new Set(["parents", "children"]);

/** The places at which two bodies differ, with both values. */
function differences(
  was: string,
  is: string,
  { generated, unordered = LINKED, max = 20 }: {
    generated?: Generated;
    unordered?: ReadonlySet<string>;
    max?: number;
  } = {},
): string[] {
  const [old, now] = [parseLosslessJson(was), parseLosslessJson(is)];
  if (old === undefined || now === undefined) throw new Error("no JSON");
  return bodyDifferences(old, now, { generated, unordered }, max)
    .map(({ place, legacy, service }) =>
      `${place}: ${legacy ?? "nothing"} → ${service ?? "nothing"}`
    );
}

const CASES: [what: string, was: string, is: string, found: string[]][] = [
  ["a list that has grown", '{"a":[1,2]}', '{"a":[1,2,3,4]}', [
    "body.a[2]: nothing → 3",
    "body.a[3]: nothing → 4",
  ]],
  ["a list that has shrunk", '{"a":[1,2,3]}', '{"a":[1]}', [
    "body.a[1]: 2 → nothing",
    "body.a[2]: 3 → nothing",
  ]],
  ["an empty list", '{"a":[{"b":1}]}', '{"a":[]}', ['body.a[0]: {"b":1} → nothing']],
  ["a list inside a list", "[[1,2]]", "[[1,3]]", ["body[0][1]: 2 → 3"]],
  ["an object for a list", '{"a":[1]}', '{"a":{"0":1}}', ['body.a: [1] → {"0":1}']],
  ["null for nothing", '{"a":null}', "{}", ["body.a: null → nothing"]],
  ["text for a number", '{"a":1}', '{"a":"1"}', ['body.a: 1 → "1"']],
  ["true for text", '{"a":"true"}', '{"a":true}', ['body.a: "true" → true']],
  // A lot is identified by its id, at any position.
  [
    "two linked lots that have changed places, and one value each",
    '{"parents":[{"id":"p","n":1},{"id":"q","n":2}]}',
    '{"parents":[{"id":"q","n":3},{"id":"p","n":4}]}',
    ["body.parents[0].n: 1 → 4", "body.parents[1].n: 2 → 3"],
  ],
  [
    "a linked lot that was replaced by another",
    '{"parents":[{"id":"p","n":1},{"id":"q","n":2}]}',
    '{"parents":[{"id":"q","n":2},{"id":"r","n":1}]}',
    ['body.parents[0].id: "p" → "r"'],
  ],
  [
    "a linked lot that is listed twice, changed once",
    '{"children":[{"id":"p","n":1},{"id":"p","n":2}]}',
    '{"children":[{"id":"p","n":2},{"id":"p","n":3}]}',
    ["body.children[0].n: 1 → 3"],
  ],
  [
    "a lot that has gone among others that have changed",
    '{"parents":[{"id":"p","n":1},{"id":"q","n":2},{"id":"r","n":3}]}',
    '{"parents":[{"id":"r","n":4},{"id":"q","n":5}]}',
    [
      'body.parents[0]: {"id":"p","n":1} → nothing',
      "body.parents[1].n: 2 → 5",
      "body.parents[2].n: 3 → 4",
    ],
  ],
  ["keys in another order, inside", '{"a":{"b":1,"c":2,"d":3}}', '{"a":{"c":2,"b":1,"e":3}}', [
    "body.a.d: 3 → nothing",
    "body.a.e: nothing → 3",
    "body.a (order of keys): b, c → c, b",
  ]],
  ["an odd key", '{"a b":1}', '{"a b":2}', ['body["a b"]: 1 → 2']],
  ["links without ids, in their order", '{"parents":[1,2,3]}', '{"parents":[4,2,5,6]}', [
    "body.parents[0]: 1 → 4",
    "body.parents[2]: 3 → 5",
    "body.parents[3]: nothing → 6",
  ]],
  ["links of many places", `{"parents":[${digits(12)}]}`, `{"parents":[${digits(12, "x")}]}`, [
    ...Array.from({ length: 12 }, (_, i) => `body.parents[${i}]: "${i}" → "${i}x"`),
  ]],
];

/** "0", "1", … as JSON, each with a suffix. */
function digits(count: number, end = ""): string {
  return Array.from({ length: count }, (_, i) => `"${i}${end}"`).join();
}

for (const [what, was, is, found] of CASES) {
  Deno.test(`reported for ${what}: ${found.length} differences`, () => {
    deepStrictEqual(differences(was, is), found);
  });
}

Deno.test("what an upstream generates is reported at its place, and nowhere deeper", () => {
  const generated: Generated = (place, ...both) =>
    place === "body.id"
      ? both.every((one) => /^[a-f]+$/.test(stringOf(one) ?? "")) || { why: "" }
      : undefined;
  const found = (was: string, is: string) => differences(was, is, { generated });
  deepStrictEqual(found('{"id":"aa"}', '{"id":"bb"}'), []);
  deepStrictEqual(found('{"id":"aa"}', '{"id":"xx"}'), ['body.id: "aa" → "xx"']);
  deepStrictEqual(found('{"id":"xx"}', '{"id":"bb"}'), ['body.id: "xx" → "bb"']);
  deepStrictEqual(found('{"id":"aa"}', '{"id":null}'), ['body.id: "aa" → null']);
  deepStrictEqual(found('{"id":"aa"}', "{}"), ['body.id: "aa" → nothing']);
  deepStrictEqual(found('{"metadata":{"id":"aa"}}', '{"metadata":{"id":"bb"}}'), [
    'body.metadata.id: "aa" → "bb"',
  ]);
});

Deno.test("an unexpected value is reported with the reason", () => {
  deepStrictEqual(differences("1", "2", { generated: () => ({ why: "no UUID" }) }), [
    "body: 1 → 2 (no UUID)",
  ]);
});

Deno.test("only linked lots at the top have no order", () => {
  const inside = (list: string) => `{"metadata":{"parents":${list}},"parents":${list}}`;
  deepStrictEqual(differences(inside("[1,2]"), inside("[2,1]")), [
    "body.metadata.parents[0]: 1 → 2",
    "body.metadata.parents[1]: 2 → 1",
  ]);
  deepStrictEqual(
    differences('{"parents":[1,2]}', '{"parents":[2,1]}', { unordered: new Set() }).length,
    2,
  );
});

Deno.test("the first differences up to the bound are reported, in lists, links and fields alike", () => {
  const fields = (value: number) => JSON.stringify({ a: value, b: value, c: [value], d: value });
  deepStrictEqual(differences(fields(1), fields(2), { max: 2 }), [
    "body.a: 1 → 2",
    "body.b: 1 → 2",
  ]);
  deepStrictEqual(differences("[1,2,3]", "[4,5,6]", { max: 2 }).length, 2);
  deepStrictEqual(differences('{"parents":[1,2,3]}', '{"parents":[]}', { max: 2 }).length, 2);
});
