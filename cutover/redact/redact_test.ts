import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { captured, requestOf, responseOf } from "../testing/captured.ts";
import { routeOf } from "../testing/shadow_rig.ts";
import { bytesOf } from "../../testing/raw_http.ts";
import type { Difference } from "../evidence/evidence.ts";
import type { HeaderLines } from "../exchange/exchange.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { createRedactor } from "./redact.ts";

const SECRET = "a secret of at least thirty-two characters";
const redactor = createRedactor(SECRET);
const textOf = ({ body }: { body: Uint8Array }) => new TextDecoder().decode(body);

const SHOWN: [what: string, operation: LegacyOperation, body: string][] = [
  [
    "what has a closed form",
    "createLot",
    '{"id":"00000000-0000-4000-8000-000000950201","lot_code":"MIX-BATCH-88","lot_type":"MIX","weight_kg":"540.0","temperature_c":-18.50,"metadata":null,"created_at":"2026-01-18T07:01:02.123Z"}',
  ],
  ["JSON with spaces and escapes", "createLot", '{ "lot_type" : "\\u0052AW", "weight_kg" : 1.0 }'],
  ["a key that stands twice", "createLot", '{"weight_kg":1,"weight_kg":2}'],
  [
    "a moment with its zone and a number that is none",
    "createQcDecision",
    '{"decided_at":"2026-01-18 07:01:02+02","temperature_c":"NaN","decision":"PASS","notes":""}',
  ],
  ["health", "getHealth", '{"status":"ok","timestamp":"2026-01-18T07:01:02.123Z"}'],
  [
    "an error with its places",
    "createLot",
    '{"error":"lot_code is missing","details":[{"path":"lot_code","message":"is missing"}]}',
  ],
  ["a lot code in an error", "createLot", '{"error":"Lot code RAW-1 is taken"}'],
  [
    "a message of PostgreSQL's",
    "createLot",
    '{"error":"null value in column \\"lot_code\\" of relation \\"lots\\" violates not-null constraint"}',
  ],
  ["an error page", "login", "<!DOCTYPE html>\n<title>Error</title>\n<pre>SyntaxError: …</pre>\n"],
];

for (const [what, operation, body] of SHOWN) {
  Deno.test(`${what} of the contract is shown as it is`, () => {
    const { response } = redactor.exchange(
      operation,
      requestOf(operation),
      responseOf(200, body),
    );
    strictEqual(textOf(response), body);
  });
}

const REPLACED: [what: string, operation: LegacyOperation, body: string, shown: RegExp][] = [
  [
    "each field says what it was",
    "login",
    '{"user":{"email":"a@b.example","full_name":"Anna","role":"COOK","id":7},"token":"t"}',
    /^\{"user":\{"email":"email-\w{12}","full_name":"name-\w{12}","role":"text-\w{12}","id":"number-\w{12}"\},"token":"token-\w{12}"\}$/,
  ],
  [
    "metadata is one pseudonym",
    "createLot",
    '{"metadata":{"a":[1]},"notes":[1,2],"x":{"y":1},"n":1.50}',
    /^\{"metadata":"object-\w{12}","key-\w{12}":"list-\w{12}","key-\w{12}":"object-\w{12}","key-\w{12}":"number-\w{12}"\}$/,
  ],
  [
    "an unknown column in an error",
    "createLot",
    '{"error":"column \\"best colour\\" of relation \\"lots\\" does not exist"}',
    /^\{"error":"column \\"text-\w{12}\\" of relation \\"lots\\" does not exist"\}$/,
  ],
  [
    "what has the name of an object's method",
    "createLot",
    '{"constructor":"a","__proto__":"b"}',
    /^\{"key-\w{12}":"text-\w{12}","key-\w{12}":"text-\w{12}"\}$/,
  ],
  [
    "a page",
    "login",
    "<pre>Cannot GET /api/anna b/lots</pre>",
    /^<pre>Cannot GET \/api\/text-\w{12}\/lots<\/pre>$/,
  ],
];

for (const [what, operation, body, shown] of REPLACED) {
  Deno.test(`what is replaced shows its kind: ${what}`, () => {
    const { response } = redactor.exchange(
      operation,
      requestOf(operation),
      responseOf(400, body),
    );
    match(textOf(response), shown);
    const again = redactor.exchange(operation, requestOf(operation), response);
    strictEqual(textOf(again.response), textOf(response), "once more changes nothing");
  });
}

Deno.test("known headers are kept, secrets in them are replaced, and all others are left out", () => {
  const headers: HeaderLines = [
    ["Authorization", "Basic am9objpodW50ZXIy"],
    ["Cookie", "session=abc"],
    ["Content-Type", "application/json; charset=utf-8"],
    ["Content-Encoding", "gzip"],
    ["Content-Length", "99"],
    ["If-None-Match", 'W/"1b-abc"'],
    ["Accept", "*/*"],
    ["User-Agent", "Anna's phone"],
  ];
  const body = new Uint8Array(gzipSync('{"password":"hunter2"}'));
  const given = { ...requestOf("login"), headers, body };
  const { request } = redactor.exchange("login", given, responseOf(200, "{}"));
  const shown = request.headers.map((line) => line.join(": ").replace(/-[0-9a-f]{12}/, "-#"));
  deepStrictEqual(shown, [
    "Authorization: Basic token-#",
    "Cookie: cookie-#",
    "Content-Type: application/json; charset=utf-8",
    "Content-Encoding: gzip",
    "Content-Length: 99",
    'If-None-Match: W/"hash-#"',
    "Accept: */*",
  ]);
  match(textOf(request), /^\{"password":"password-\w{12}"\}$/);
});

const TARGETS: [target: string, shown: RegExp][] = [
  ["/api/traceability/MIX-BATCH-88", /^\/api\/traceability\/MIX-BATCH-88$/],
  ["/API/Lots/", /^\/API\/Lots\/$/],
  ["http://plant.example/api/health", /^\/api\/health$/],
  [
    "/api/traces/00000000-0000-4000-8000-000000950201",
    /^\/api\/traces\/00000000-0000-4000-8000-000000950201$/,
  ],
  ["/api/traceability/%C5%90R%2F%20100%25", /^\/api\/traceability\/text-\w{12}$/],
  ["/api/traceability/%E0%A4%A", /^\/api\/traceability\/text-\w{12}$/],
  ["/api/traceability/RAW-1?limit=5", /^\/api\/traceability\/RAW-1\?query-\w{12}$/],
  ["/api/health?", /^\/api\/health\?$/],
  ["*", /^text-\w{12}$/],
  [`/${"a/".repeat(40_000)}`, /^text-\w{12}$/],
];

for (const [target, shown] of TARGETS) {
  Deno.test(`of the target ${target.slice(0, 50)} what the contract has is kept`, () => {
    const { request } = redactor.exchange(undefined, captured("GET", target), responseOf(200, ""));
    match(request.target, shown);
  });
}

const BODIES: [what: string, body: Uint8Array, headers: HeaderLines, shown: RegExp][] = [
  [
    "gzip",
    new Uint8Array(gzipSync('{"notes":"a"}')),
    [["content-encoding", "gzip"]],
    /^\{"notes":"note-\w{12}"\}$/,
  ],
  [
    "called gzip and isn't",
    bytesOf('{"notes":"a"}'),
    [["content-encoding", "gzip"]],
    /^\{"notes":"note-\w{12}"\}$/,
  ],
  [
    "gzip and isn't called so",
    new Uint8Array(gzipSync("a")),
    [],
    /^\(\d\d bytes that are no text\)$/,
  ],
  ["UTF-16", new Uint8Array(Buffer.from("anna", "utf16le")), [], /^\(8 bytes that are no text\)$/],
  ["bad UTF-8", new Uint8Array([0xff, 0x61]), [], /^\(2 bytes that are no text\)$/],
  ["long text", bytesOf("word ".repeat(2_000)), [], /^text-\w{12}$/],
  ["long JSON", bytesOf(JSON.stringify("x".repeat(300_000))), [], /^text-\w{12}$/],
  ["none", bytesOf(""), [], /^$/],
];

for (const [what, body, headers, shown] of BODIES) {
  Deno.test(`a body that is ${what} is kept without personal data, or not at all`, () => {
    const response = { ...responseOf(200, ""), headers, body };
    match(
      textOf(
        redactor.exchange("createQcDecision", requestOf("createQcDecision"), response).response,
      ),
      shown,
    );
  });
}

const differencesOf = (differences: readonly Difference[]) =>
  redactor.finding({
    operation: "createQcDecision",
    route: routeOf("createQcDecision"),
    outcome: "different",
    approvals: [],
    differences,
  }).differences;

Deno.test("a report shows the field, the kind, the scale and the lengths of what differs", () => {
  const differences = differencesOf([
    { place: "body.temperature_c", legacy: '"4.0"', service: '"4.00"' },
    { place: "body.notes", legacy: '"Anna called"', service: "null" },
    { place: "body.metadata.a", legacy: "1", service: "1.0" },
    { place: "body.decision", legacy: '"PASS"', service: '"Pass"' },
    { place: "body (order of keys)", legacy: "id, notes", service: "notes, id" },
    { place: "body.id", service: '"00000000-0000-4000-8000-00000095020" (no UUID)' },
    { place: "status", legacy: "201", service: "500" },
    { place: "header vary", legacy: "Origin" },
    { place: "body", legacy: "300000 bytes", service: "(29 bytes that aren't gzip)" },
    { place: "form: body.notes may not change" },
    { place: "form", service: 'no {"error": text}: Anna' },
  ]);
  const shown = JSON.parse(JSON.stringify(differences).replaceAll(/-[0-9a-f]{12}/g, "-#"));
  deepStrictEqual(shown, [
    { place: "body.temperature_c", legacy: '"4.0"', service: '"4.00"' },
    { place: "body.notes", legacy: '"note-#" (11 characters)', service: "null" },
    {
      place: "body.key-#.key-#",
      legacy: '"number-#" (1 characters)',
      service: '"number-#" (3 characters)',
    },
    { place: "body.decision", legacy: '"PASS"', service: '"text-#" (4 characters)' },
    { place: "body (order of keys)", legacy: "id, notes", service: "notes, id" },
    { place: "body.id", service: '"text-#" (no UUID)' },
    { place: "status", legacy: "201", service: "500" },
    { place: "header vary", legacy: "Origin" },
    { place: "body", legacy: "300000 bytes", service: "(29 bytes that aren't gzip)" },
    { place: "form: body.notes may not change" },
    { place: "form", service: 'no {"error": text}: text-#' },
  ]);
});

Deno.test("the same value has the same digits in every field, and another one has others", () => {
  const digits = (text = "") => /-([0-9a-f]{12})/.exec(text)?.[1];
  const [notes, signature, other] = differencesOf([
    { place: "body.notes", legacy: '"Anna"', service: '"Anna"' },
    { place: "body.digital_signature", legacy: '"Anna"', service: '"anna"' },
    { place: "body.notes", legacy: '"Anna "', service: '"Ánna"' },
  ]);
  strictEqual(notes?.legacy, notes?.service);
  strictEqual(digits(notes?.legacy), digits(signature?.legacy));
  const all = [notes?.legacy, signature?.service, other?.legacy, other?.service].map(digits);
  strictEqual(new Set(all).size, 4, all.join());
  const { request } = createRedactor(`${SECRET}!`).exchange(
    "createQcDecision",
    requestOf("createQcDecision", '{"notes":"Anna"}'),
    responseOf(200, ""),
  );
  notStrictEqual(digits(textOf(request)), digits(notes?.legacy), "with another secret");
  ok(digits(textOf(request)));
});

Deno.test("of many values 2,000 have digits of their own", () => {
  const values = Array.from({ length: 5_000 }, (_, at) => `"v${at}"`);
  const body = `{${values.map((value) => `${value}:null`).join(",")}}`;
  const given = { ...responseOf(200, body), headers: [] };
  const { response } = redactor.exchange("login", requestOf("login"), given);
  const names = Object.keys(JSON.parse(textOf(response)));
  deepStrictEqual([names.length, names.at(-1)], [2_001, "key-000000000000"]);
});

/** Linear, it takes less than a second; quadratic, it takes minutes. */
const QUADRATIC_MS = 60_000;

Deno.test("text that would take a pattern for ever is dealt with", () => {
  const began = performance.now();
  for (const part of ["@", "a ", "a.", "A-", "a: ", '"a":', "%25", " ", "\\", "{", "0", "-"]) {
    const text = part.repeat(200_000 / part.length);
    const headers: HeaderLines = [["vary", text], ["if-none-match", text], ["location", text]];
    for (
      const body of [text, JSON.stringify(text), JSON.stringify({ error: text, lot_code: text })]
    ) {
      redactor.exchange("createLot", captured("GET", `/x?${text}`, body, headers), {
        ...responseOf(400, body),
        headers,
      });
    }
    differencesOf([{ place: `body${text}`, legacy: text, service: text }]);
  }
  ok(performance.now() - began < QUADRATIC_MS);
});
