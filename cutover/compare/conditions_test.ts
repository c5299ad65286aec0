import { strictEqual } from "node:assert/strict";
import { captured, responseOf } from "../testing/captured.ts";
import { type Condition, type ConditionInput, isMet, serverError } from "./conditions.ts";

const HTML = { "content-type": "text/html; charset=utf-8" };
const ERROR_PAGE =
  '<!DOCTYPE html>\n<html lang="en"><title>Error</title><pre>SyntaxError: x</pre></html>';
const page = (status = 404, body = ERROR_PAGE, headers: Record<string, string> = HTML) =>
  responseOf(status, body, headers);
const failed = (words: string) => responseOf(500, JSON.stringify({ error: words }));
const stored = responseOf(201, "{}");

const lot = (body: unknown, headers?: [string, string][]): Partial<ConditionInput> => ({
  operation: "createLot",
  request: captured(
    "POST",
    "/api/lots",
    typeof body === "string" ? body : JSON.stringify(body),
    headers,
  ),
});
const decision = (body: unknown): Partial<ConditionInput> => ({
  operation: "createQcDecision",
  request: captured("POST", "/api/qc-decisions", JSON.stringify(body)),
});
const login = (body: unknown): Partial<ConditionInput> => ({
  operation: "login",
  request: captured("POST", "/api/login", JSON.stringify(body)),
});
const trace = (method: string, code = "A"): Partial<ConditionInput> => ({
  operation: "getTraceability",
  request: captured(method, `/api/traceability/${code}`),
});
const links = (parents: unknown, children: unknown) =>
  responseOf(200, JSON.stringify({ central: {}, parents, children }));
const list = (length: number) => Array(length).fill(1);

/** For each condition an exchange that meets it, and changes of it that each break it. */
const CASES: [Condition, what: string, input: Partial<ConditionInput>, isMet: boolean][] = [
  ["error_page", "an error page", { legacy: page() }, true],
  ["error_page", "a page that isn't one of an error", {
    legacy: page(404, "<html>Hello</html>"),
  }, false],
  ["error_page", "an error page's text as JSON", { legacy: page(404, ERROR_PAGE, {}) }, false],
  ["error_page", "an error page that hasn't its type first", {
    legacy: page(404, ERROR_PAGE, { "content-type": "x/y, text/html" }),
  }, false],
  ["error_page", "the head of a page", { ...trace("HEAD"), legacy: page(404, "") }, true],
  ["error_page", "the head of a JSON response", {
    ...trace("HEAD"),
    legacy: responseOf(404, ""),
  }, false],
  ["error_page", "an empty page", { ...trace("GET"), legacy: page(404, "") }, false],

  ["other_method", "DELETE where there is GET", trace("DELETE"), true],
  ["other_method", "POST where there is GET", trace("POST"), true],
  ["other_method", "GET", trace("GET"), false],
  ["other_method", "HEAD where there is GET", trace("HEAD"), false],
  ["other_method", "POST where there is POST", lot({}), false],
  ["other_method", "HEAD where there is POST", {
    operation: "createLot",
    request: captured("HEAD", "/api/lots"),
  }, true],
  ["other_method", "GET where there is POST", {
    operation: "createLot",
    request: captured("GET", "/api/lots"),
  }, true],

  ["beyond_years", "a lot made in the year 10000", lot({ created_at: "10000-01-01" }), true],
  ["beyond_years", "a lot made in 2026", lot({ created_at: "2026-01-01" }), false],
  ["beyond_years", "a lot whose moment is no text", lot({ created_at: 10_000 }), false],
  ["beyond_years", "a lot decided on in the year 10000", lot({ decided_at: "10000-01-01" }), false],
  ["beyond_years", "a decision of the year 10000", decision({ decided_at: "10000-01-01" }), true],
  [
    "beyond_years",
    "a decision made in the year 10000",
    decision({
      created_at: "10000-01-01",
    }),
    false,
  ],
  ["beyond_years", "a body that is a list", lot(["10000-01-01"]), false],

  ["empty_lot_code", "an empty code", lot({ lot_code: "" }), true],
  ["empty_lot_code", "a space", lot({ lot_code: " " }), false],
  ["empty_lot_code", "no code", lot({}), false],
  [
    "empty_lot_code",
    "an empty code that isn't sent as JSON",
    lot('{"lot_code":""}', [
      ["content-type", "text/plain"],
    ]),
    false,
  ],

  ["key_made_sql", "capitals", lot({ LOT_CODE: "L" }), true],
  ["key_made_sql", "one of several", lot({ colour: 1, "a b": 1, lot_code: "L" }), true],
  ["key_made_sql", "plain names", lot({ colour: 1, _x9: 1, lot_code: "L" }), false],
  ["key_made_sql", "places in a list", lot([1]), false],
  ["key_made_sql", "a digit first", lot({ "9x": 1 }), true],
  ["key_made_sql", "own fields", decision({ notes: "n", lot_id: null }), false],
  ["key_made_sql", "any key of a login", login({ "a b": 1 }), false],

  ["lone_surrogate", "a text", lot({ lot_code: "\ud800" }), true],
  ["lone_surrogate", "a key inside", lot({ metadata: { a: [{ "\udc00": 1 }] } }), true],
  ["lone_surrogate", "a list of one", lot(["\ud800"]), true],
  ["lone_surrogate", "a pair", lot({ lot_code: "\ud83d\ude00" }), false],
  ["lone_surrogate", "null and numbers", lot({ a: null, b: 1 }), false],

  ["many_links", "one link too many, on both sides together", {
    legacy: links(list(125_000), list(125_001)),
  }, true],
  ["many_links", "the most", { legacy: links(list(125_000), list(125_000)) }, false],
  ["many_links", "too many on one side, and nothing on the other", {
    legacy: links(list(250_001), "none"),
  }, true],
  ["many_links", "long, and no list in it", { legacy: links("x".repeat(600_000), "") }, false],
  ["many_links", "long, and a list itself", {
    legacy: responseOf(200, JSON.stringify(list(300_000))),
  }, false],
  ["many_links", "too many bytes to be read", {
    legacy: { ...responseOf(200, ""), body: new Uint8Array(134_217_729) },
  }, true],
  ["many_links", "null where there are no links", { legacy: links(list(250_001), null) }, true],
  ["many_links", "few links in many bytes", {
    legacy: links([`${"x".repeat(600_000)}`], []),
  }, false],
  ["many_links", "a few", { legacy: links([1], [2]) }, false],
  ["many_links", "long, and no JSON", { legacy: responseOf(200, "x".repeat(600_000)) }, false],

  ["metadata_list", "a list", lot({ metadata: [0] }), true],
  ["metadata_list", "an empty list", lot({ metadata: [] }), false],
  ["metadata_list", "an object with a length", lot({ metadata: { length: 1 } }), false],
  ["metadata_list", "text", lot({ metadata: "[0]" }), false],

  ["metadata_not_json", "text that is no JSON", lot({ metadata: "abc" }), true],
  ["metadata_not_json", "text that is JSON", lot({ metadata: "[1]" }), false],
  ["metadata_not_json", "no text", lot({ metadata: 1 }), false],

  ["no_fields", "no body", lot(""), true],
  ["no_fields", "an empty object", lot({}), true],
  ["no_fields", "a list", lot([1]), true],
  ["no_fields", "a field", lot({ a: 1 }), false],
  ["no_fields", "an empty text", lot('""'), false],
  ["no_fields", "null", lot("null"), false],
  ["no_fields", "a body that is no JSON", lot("x"), false],

  ["not_json", "another type", lot("{}", [["content-type", "text/plain"]]), true],
  [
    "not_json",
    "a type that only begins like it",
    lot("{}", [
      ["content-type", "application/jsonp"],
    ]),
    true,
  ],
  ["not_json", "no type", lot("{}", []), true],
  [
    "not_json",
    "JSON in capitals, with spaces and a charset",
    lot("{}", [
      ["Content-Type", " Application/JSON ; charset=utf-8"],
    ]),
    false,
  ],
  ["not_json", "another type, and no body", lot("", [["content-type", "text/plain"]]), true],

  ["nul", "NUL in a code", trace("GET", "A%00B"), true],
  ["nul", "no NUL in a code", trace("GET", "A%01B"), false],
  ["nul", "NUL in an email", login({ email: "a\0" }), true],
  ["nul", "an email", login({ email: "a" }), false],
  ["nul", "NUL in another field", login({ password: "a\0" }), true],
  ["nul", "a list of NUL for an email", login({ email: ["\0"] }), true],

  ["taken", "a taken code", {
    legacy: failed('duplicate key value violates unique constraint "x"'),
  }, true],
  ["taken", "such words behind others", {
    legacy: failed('so: duplicate key value violates unique constraint "x"'),
  }, false],
  ["taken", "such words with another status", {
    legacy: responseOf(400, '{"error":"duplicate key value violates unique constraint x"}'),
  }, false],
  ["unknown_reference", "an unknown reference", {
    legacy: failed('insert on "x" violates foreign key constraint "y"'),
  }, true],
  ["unknown_reference", "a taken code", {
    legacy: failed('duplicate key value violates unique constraint "x"'),
  }, false],

  ["unknown_field", "one that isn't known", lot({ colour: 1, lot_code: "L" }), true],
  ["unknown_field", "only known ones", lot({ lot_code: "L" }), false],
  ["unknown_field", "one that isn't known, and one that is SQL", lot({ a: 1, "a b": 1 }), false],
  ["unknown_field", "a decision's in a lot", lot({ notes: "n" }), true],
  ["unknown_field", "a lot's in a decision", decision({ lot_code: "L" }), true],
  ["unknown_field", "any of a login's", login({ colour: 1 }), false],
];

for (const [condition, what, input, expected] of CASES) {
  Deno.test(`${condition} is ${expected ? "met" : "not met"} by ${what}`, () => {
    const { operation, request, legacy } = { ...lot({}), legacy: stored, ...input };
    if (operation === undefined || request === undefined) throw new Error("no request");
    strictEqual(isMet(condition, { operation, request, legacy }), expected);
  });
}

/** Messages of PostgreSQL, and whether they are about an invalid value. */
const WORDS: [words: string, isRefused: boolean][] = [
  ['null value in column "lot_code" of relation "lots" violates not-null constraint', true],
  ['new row for relation "lots" violates check constraint "lots_lot_type_check"', true],
  ['invalid input syntax for type uuid: "x"', true],
  ["invalid input syntax for type json", false],
  ['invalid input value for enum lot_type: "x"', true],
  ['invalid byte sequence for encoding "UTF8": 0x00', true],
  ["unsupported Unicode escape sequence", true],
  ['malformed array literal: "x"', true],
  ['value "9e99" is out of range for type integer', true],
  ["value overflows numeric format", true],
  ['time zone "x" not recognized', true],
  ['index row size 9000 exceeds btree version 4 maximum 2704 for index "x"', true],
  ["index row requires 9000 bytes, maximum size is 8191", true],
  ["Boom", false],
  ["terminating connection due to administrator command", false],
];

for (const [words, isRefused] of WORDS) {
  Deno.test(`"${words.slice(0, 60)}" is ${isRefused ? "" : "not "}about a value`, () => {
    const { operation, request } = { operation: "createLot" as const, ...lot({}) };
    if (request === undefined) throw new Error("no request");
    strictEqual(isMet("refused_value", { operation, request, legacy: failed(words) }), isRefused);
  });
}

Deno.test("a failure's message is only the text of its error", () => {
  strictEqual(serverError(failed("Boom")), "Boom");
  for (const body of ['{"error":1}', '{"message":"Boom"}', '["Boom"]', "null", "Boom", ""]) {
    strictEqual(serverError(responseOf(500, body)), "");
  }
  strictEqual(serverError({ ...failed("Boom"), status: 503 }), "");
});
