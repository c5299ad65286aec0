import { match, strictEqual } from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { bytesOf, rawRequest } from "../testing/raw_http.ts";
import { startRefusals } from "../testing/refusals.ts";

/*
 * Every kind of invalid body, sent to every operation that reads one (a login: bad_login_test.ts).
 */

const { api, sql, refuse } = await startRefusals();

interface Target {
  readonly path: string;
  /** Accepted fields. */
  readonly good: string;
  /** One of them, with an invalid value. */
  readonly wrong?: string;
  readonly needsBody?: false;
}

const TARGETS: Record<string, Target> = {
  createLot: { path: "/api/lots", good: '"lot_code":"BAD"', wrong: '"lot_code":{}' },
  createQcDecision: { path: "/api/qc-decisions", good: '"notes":"BAD"', wrong: '"notes":{}' },
  createDeepTrace: {
    path: "/api/traces",
    good: '"lot_code":"MIX-BATCH-88","direction":"upstream"',
    wrong: '"direction":"UP"',
  },
  createAudit: { path: "/api/audits", good: "", needsBody: false },
};

type Case = [
  what: string,
  request: (target: Target) => Uint8Array,
  status: number,
  /** The expected message, where another fault would have the same status. */
  error?: RegExp,
];

const JSON_TYPE = "Content-Type: application/json\r\n";
const GZIP = `${JSON_TYPE}Content-Encoding: gzip\r\n`;

/** A body made of the target's valid fields. */
const body = (make: (good: string) => string | Uint8Array, headers = JSON_TYPE) => (to: Target) =>
  rawRequest(`POST ${to.path}`, headers, make(to.good));
/** The valid fields, and one more. */
const more = (member: string) => body((good) => `{${[good, member].filter(Boolean).join(",")}}`);
const whole = (text: string) => body(() => text);
const good = (headers: string) => body((good) => `{${good}}`, headers);
const bytes = (...end: number[]) =>
  body((good) => new Uint8Array([...bytesOf(`{${good === "" ? "" : `${good},`}"x":"`), ...end]));
const deep = (levels: number) => "[".repeat(levels) + "]".repeat(levels);

const CASES: Case[] = [
  ["as text", good("Content-Type: text/plain\r\n"), 415],
  ["as a form", good("Content-Type: application/x-www-form-urlencoded\r\n"), 415],
  ["of a type that is none", good("Content-Type: json\r\n"), 415],
  ["without a type", good(""), 415],
  ["in another charset", good("Content-Type: application/json; charset=latin1\r\n"), 415],
  ["in another encoding", good(`${JSON_TYPE}Content-Encoding: br\r\n`), 415],
  ["in gzip that is none", good(GZIP), 400],
  ["in gzip that is cut", body(() => gzipSync("{}").subarray(0, 12), GZIP), 400],
  ["that is broken", body((good) => `{${good}`), 400],
  ["with a comma too many", more('"x":1,'), 400],
  ["that is null", whole("null"), 400],
  ["that is a number", whole("5"), 400],
  ["that is NaN", whole("NaN"), 400],
  ["that is text", whole('"BAD"'), 400],
  ["that is an empty list", whole("[]"), 422],
  ["that is a list", body((good) => `[{${good}}]`), 422],
  ["of 102,401 bytes", more(`"x":"${"x".repeat(102_401)}"`), 413],
  ["of a megabyte", more(`"x":"${"x".repeat(1_000_000)}"`), 413],
  ["that is a zip bomb", body(() => gzipSync(" ".repeat(20_000_000)), GZIP), 413],
  ["10,000 levels deep", more(`"x":${deep(10_000)}`), 422, /deeper than 32/],
  ["33 levels deep", more(`"x":${deep(32)}`), 422, /deeper than 32/],
  ["with NUL in a key", more('"\\u0000":1'), 422],
  ["with a raw NUL", more('"x":"\0"'), 400],
  ["with bad UTF-8", bytes(0xff, 0x22, 0x7d), 400],
  ["with UTF-8 that is cut", bytes(0xc3), 400],
  ["with an overlong NUL", bytes(0xc0, 0x80, 0x22, 0x7d), 400],
  ["with a lone surrogate in a key", more('"\\ud800":1'), 422],
  ["with 1e400", more('"x":1e400'), 422],
  ["with NaN", more('"x":NaN'), 400],
  ["with __proto__", more('"__proto__":{"lot_type":"RAW"}'), 422],
  ["with constructor", more('"constructor":{"prototype":{"x":1}}'), 422],
  ["with SQL in a key", more('"id) values (\'BAD\') --":"x"'), 422],
  ["with a quote in a key", more('"a\\"; drop table lots; --":"x"'), 422],
  ["with an unknown key", more('"colour":"red"'), 422],
  ["with a key in capitals", more('"LOT_TYPE":"RAW"'), 422],
  ["with an unknown key twice", more('"colour":"red","colour":"red"'), 422],
  [
    "with 9,000 unknown keys",
    more(Array.from({ length: 9_000 }, (_, i) => `"k${i}":0`).join()),
    422,
  ],
];

for (const [operation, target] of Object.entries(TARGETS)) {
  for (const [what, request, status, error = /./] of CASES) {
    Deno.test(`${operation} with a body ${what} is ${status}, and nothing is stored`, async () => {
      match((await refuse(request(target), [status])).body, error);
    });
  }
  const { path, wrong, needsBody = true } = target;
  if (needsBody) {
    for (const [what, headers] of [["no body", ""], ["an empty body", "Content-Length: 0\r\n"]]) {
      Deno.test(`${operation} with ${what} is 422, and nothing is stored`, async () => {
        await refuse(rawRequest(`POST ${path}`, `${JSON_TYPE}${headers}`), [422]);
      });
    }
  }
  if (wrong !== undefined) {
    Deno.test(`of a duplicate key ${operation} uses the last value, and refuses an invalid one`, async () => {
      await refuse(more(wrong)(target), [422]);
    });
  }
}

/** Requests for a trace that are outside the contract, or have no target. */
const TRACES: [what: string, body: string, status: number][] = [
  ...["null", '""', "[]", "{}", "1e400", '"A\\u0000"', '"A\\ud800"'].map((
    code,
  ): [string, string, number] => [
    `${code} for a code`,
    `{"lot_code":${code},"direction":"both"}`,
    422,
  ]),
  ["a code too long", `{"lot_code":"${"x".repeat(2_601)}","direction":"both"}`, 422],
  ["no code", '{"direction":"both"}', 422],
  ["no direction", '{"lot_code":"MIX-BATCH-88"}', 422],
  ["a code that is unknown", '{"lot_code":"MIX-BATCH-89","direction":"both"}', 404],
  ["a code in small letters", '{"lot_code":"mix-batch-88","direction":"both"}', 404],
  ["9007199254740993 for a code", '{"lot_code":9007199254740993,"direction":"both"}', 404],
  // A lot that was sent with this code has its text, too.
  ["true for a code", '{"lot_code":true,"direction":"both"}', 404],
  ["SQL for a code", `{"lot_code":"' or true --","direction":"both"}`, 404],
  ...["null", '"UP"', "1", '["both"]', '"both\\u0000"'].map((
    direction,
  ): [string, string, number] => [
    `${direction} for a direction`,
    `{"lot_code":"MIX-BATCH-88","direction":${direction}}`,
    422,
  ]),
  ...["0", "-1", "1.5", "10001", "1e400", "true", '"1"', '"NaN"', "9007199254740993"].map((
    depth,
  ): [string, string, number] => [
    `${depth} for a depth`,
    `{"lot_code":"MIX-BATCH-88","direction":"both","max_depth":${depth}}`,
    422,
  ]),
  ...["0", "null", "1.5", "1000001", "1e400", '"5"', "[5]"].map((
    max,
  ): [string, string, number] => [
    `at most ${max} lots`,
    `{"lot_code":"MIX-BATCH-88","direction":"both","at_most":${max}}`,
    422,
  ]),
];

for (const [what, text, status] of TRACES) {
  Deno.test(`createDeepTrace with ${what} is ${status}, and nothing is stored`, async () => {
    await refuse(rawRequest("POST /api/traces", JSON_TYPE, text), [status]);
  });
}

Deno.test("logout doesn't read its body, whatever it is", async () => {
  for (const sent of ["{", "\0", deep(10_000), "x".repeat(1_000_000)]) {
    const response = await api.send("/api/logout", { method: "POST", body: sent });
    strictEqual(response.status, 204);
  }
});

// The contract allows these, as the old server did.
Deno.test("9007199254740993 is stored as JavaScript reads it when it is a number, exactly when it is text", async () => {
  const response = await api.post(
    "/api/lots",
    '{"lot_code":"DIGITS","weight_kg":9007199254740993,"temperature_c":"9007199254740993"}',
  );
  strictEqual(response.status, 201);
  strictEqual(response.json.weight_kg, "9007199254740992");
  strictEqual(response.json.temperature_c, "9007199254740993");
  await sql`delete from lots where lot_code = 'DIGITS'`;
});

Deno.test("the last value of a duplicate key is stored", async () => {
  const response = await api.post("/api/lots", '{"lot_code":"FIRST","lot_code":"LAST"}');
  strictEqual(response.status, 201);
  const codes = await sql`delete from lots where lot_code in ('FIRST', 'LAST') returning lot_code`;
  strictEqual(codes.map(({ lot_code }) => lot_code).join(), "LAST");
});
