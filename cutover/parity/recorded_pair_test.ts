import { deepStrictEqual, match, ok } from "node:assert/strict";
import { withoutFrames } from "../compare/comparable.ts";
import { outcomeOf } from "./verify.ts";
import type { Known } from "./recorded_pair.ts";
import type { ReceivedResponse } from "./exchange.ts";
import type { RecordedResponse } from "./recordings.ts";

const JSON_TYPE = "application/json; charset=utf-8";
const OLD_ID = "9a4eaad1-0334-4e01-9421-28b3e6a0b3d7";
const NEW_ID = "018f4f3c-7a50-7cc2-98c4-dc0c0c07398f";
const SEED_ID = "00000000-0000-4000-8000-000000950201";
const OLD_TIME = "2026-11-23T01:10:32.243Z";
const NEW_TIME = "2027-03-01T12:00:05.000Z";

function known(): Known {
  return {
    given: `{"id":"${SEED_ID}","created_at":"2026-11-23T01:10:30.000Z"}`,
    recorded: { from: "2026-11-23T01:10:28.590Z", to: "2026-11-23T01:10:33.914Z" },
    actual: { from: "2027-03-01T12:00:00.000Z", to: "2027-03-01T12:00:10.000Z" },
    made: new Map(),
  };
}

const recorded: RecordedResponse = {
  status: 201,
  headers: { "content-type": JSON_TYPE, "access-control-allow-origin": "*" },
  body: `{"id":"${OLD_ID}","lot_code":"L-1","lot_type":null,"weight_kg":"540.0",` +
    `"phase_id":"${SEED_ID}","metadata":{"a":1.5},"created_at":"${OLD_TIME}"}`,
  etag: true,
};

function receivedWith(change: Partial<ReceivedResponse> = {}): ReceivedResponse {
  const body = recorded.body.replace(OLD_ID, NEW_ID).replace(OLD_TIME, NEW_TIME);
  return { status: 201, headers: { ...recorded.headers }, body, etag: 'W/"a-b"', ...change };
}

function bodyWith(from: string, to: string): ReceivedResponse {
  const response = receivedWith();
  ok(response.body.includes(from), `${from} must occur in the body for the case to mean anything`);
  return { ...response, body: response.body.replace(from, to) };
}

/** The faults of a response to a request for a lot, or for a trace. */
function differences(
  response: RecordedResponse,
  received: ReceivedResponse,
  known: Known,
): string[] {
  const request = response.body.includes('"central"')
    ? { method: "GET", path: "/api/traceability/A-1", headers: {} }
    : { method: "POST", path: "/api/lots", headers: {} };
  return outcomeOf("a #0", { request, response }, received, known, []).differences;
}

Deno.test("a response with another new id and the time of its own request is the same", () => {
  deepStrictEqual(differences(recorded, receivedWith(), known()), []);
});

const FOUND: [what: string, received: ReceivedResponse, line: RegExp][] = [
  ["another status", receivedWith({ status: 200 }), /^status: 201 -> 200$/],
  [
    "no response at all",
    receivedWith({ status: 0, body: "socket hang up" }),
    /^no response: socket hang up$/,
  ],
  ["another scale", bodyWith('"540.0"', '"540"'), /^body\.weight_kg: "540\.0" -> "540"$/],
  ["a number for text", bodyWith('"540.0"', "540.0"), /^body\.weight_kg: "540\.0" -> 540\.0$/],
  ["another value", bodyWith("L-1", "L-2"), /L-1.* -> .*L-2/],
  ["another letter case", bodyWith("L-1", "l-1"), /L-1.* -> .*l-1/],
  ["a missing field", bodyWith('"lot_type":null,', ""), /^body\.lot_type: null -> \(none\)$/],
  [
    "an additional field",
    bodyWith('"lot_type"', '"colour":"red","lot_type"'),
    /^body\.colour: \(none\) -> "red"$/,
  ],
  ["an additional field at the end", bodyWith('Z"}', 'Z","x":1}'), /^body\.x: \(none\) -> 1$/],
  [
    "another order of keys",
    bodyWith('"lot_code":"L-1","lot_type":null', '"lot_type":null,"lot_code":"L-1"'),
    /^body \(order of keys\): /,
  ],
  ["a space in the JSON", bodyWith('"a":1.5', '"a": 1.5'), /^body \(spaces and escapes\): /],
  ["a needless escape", bodyWith("L-1", "\\u004c-1"), /^body \(spaces and escapes\): /],
  ["null for a number", bodyWith('"540.0"', "null"), /^body\.weight_kg: /],
  [
    "text after the end",
    receivedWith({ body: `${receivedWith().body}\n` }),
    /^body \(spaces and escapes\): /,
  ],
  ["an empty body", receivedWith({ body: "" }), /^body: .* -> \(none\)$/],
  ["half a body", receivedWith({ body: receivedWith().body.slice(0, 60) }), /^body: /],
  ["an id that is no UUID", bodyWith(NEW_ID, "17"), /not a UUID/],
  ["a UUID in capitals", bodyWith(NEW_ID, NEW_ID.toUpperCase()), /not a UUID/],
  ["a UUID of version 1", bodyWith("-7cc2-", "-1cc2-"), /not a UUID/],
  ["an id from the seed for a new row", bodyWith(NEW_ID, SEED_ID), /a known UUID/],
  ["another given id", bodyWith(SEED_ID, OLD_ID), /^body\.phase_id: /],
  ["a time without milliseconds", bodyWith(".000Z", "Z"), /not a time in UTC/],
  ["a time with microseconds", bodyWith(".000Z", ".000000Z"), /not a time in UTC/],
  ["a time with an offset", bodyWith(".000Z", ".000+00:00"), /not a time in UTC/],
  [
    "another time than now",
    bodyWith(NEW_TIME, "2027-03-01T11:00:05.000Z"),
    /not that of the request/,
  ],
  ["the recorded time itself", bodyWith(NEW_TIME, OLD_TIME), /not that of the request/],
  [
    "another header",
    receivedWith({ headers: { ...recorded.headers, "content-type": "application/json" } }),
    /^header content-type: application\/json; charset=utf-8 -> application\/json$/,
  ],
  [
    "a missing header",
    receivedWith({ headers: { "content-type": JSON_TYPE } }),
    /^header access-control-allow-origin: \* -> \(none\)$/,
  ],
  [
    "an additional header that clients act on",
    receivedWith({ headers: { ...recorded.headers, vary: "Origin" } }),
    /^header vary: \(none\) -> Origin$/,
  ],
  ["no ETag", receivedWith({ etag: undefined }), /^header etag: W\/"recorded" -> \(none\)$/],
  ["a strong ETag", receivedWith({ etag: '"a-b"' }), /^header etag: W\/"recorded" -> "a-b"$/],
];

for (const [what, response, line] of FOUND) {
  Deno.test(`found: ${what}`, () => {
    const found = differences(recorded, response, known());
    ok(found.some((one) => line.test(one)), JSON.stringify(found));
  });
}

Deno.test("a time from the request must come back, even one from the recording's minute", () => {
  const given = { ...recorded, body: '{"created_at":"2026-11-23T01:10:30.000Z"}' };
  deepStrictEqual(differences(given, receivedWith({ body: given.body }), known()), []);
  const other = receivedWith({ body: given.body.replace(/2026.*Z/, NEW_TIME) });
  match(differences(given, other, known()).join(), /01:10:30/);
});

Deno.test("a time that was computed from the request must come back; two hours off is found", () => {
  const computed = { ...recorded, body: '{"created_at":"2026-01-19T08:11:12.000Z"}' };
  deepStrictEqual(differences(computed, receivedWith({ body: computed.body }), known()), []);
  const wrong = receivedWith({ body: computed.body.replace("08:11", "10:11") });
  match(differences(computed, wrong, known()).join(), /08:11.* -> .*10:11/);
});

Deno.test("an id that was generated in one step must be the same in the next", () => {
  const context = known();
  deepStrictEqual(differences(recorded, receivedWith(), context), []);
  deepStrictEqual(differences(recorded, receivedWith(), context), []);
  const another = bodyWith(NEW_ID, "118f4f3c-7a50-7cc2-98c4-dc0c0c07398f");
  match(differences(recorded, another, context).join(), /earlier in this scenario/);
});

Deno.test("the time of one row must be the same in the next step", () => {
  const context = known();
  deepStrictEqual(differences(recorded, receivedWith(), context), []);
  match(
    differences(recorded, bodyWith(".000Z", ".001Z"), context).join(),
    /earlier in this scenario/,
  );
});

Deno.test("two rows with one id are found", () => {
  const context = known();
  deepStrictEqual(differences(recorded, receivedWith(), context), []);
  const second = { ...recorded, body: recorded.body.replace(OLD_ID, OLD_ID.replace("9a", "bb")) };
  match(differences(second, receivedWith(), context).join(), /one UUID for two things/);
});

const trace = (parents: string[], children: string[]) =>
  `{"central":{"weight_kg":"1.0"},"parents":[${parents}],"children":[${children}]}`;
const [A, B] = ['{"lot_code":"A","weight_kg":"1"}', '{"lot_code":"B","weight_kg":"2.50"}'];
const TRACES: [what: string, body: string, same: boolean][] = [
  ["parents and children in another order are the same", trace([B, A], [A, B, B]), true],
  ["a lot that is listed once less is found", trace([A, B], [B, A]), false],
  ["a lot that is listed twice in place of another is found", trace([A, A], [B, B, A]), false],
  ["a parent among the children is found", trace([A], [B, B, A, B]), false],
  ["another scale in one lot is found", trace([A, B.replace("2.50", "2.5")], [B, B, A]), false],
  [
    "another order of keys in one lot is found",
    trace([A, '{"weight_kg":"2.50","lot_code":"B"}'], [B, B, A]),
    false,
  ],
  ["a space in the JSON is found", trace([A, B], [B, B, A]).replace(",", ", "), false],
  ["an additional list is found", trace([A, B], [B, B, A]).replace(/}$/, ',"x":[]}'), false],
];

for (const [what, body, same] of TRACES) {
  Deno.test(`of a trace, ${what}`, () => {
    const was = { ...recorded, status: 200, body: trace([A, B], [B, B, A]) };
    const found = differences(was, receivedWith({ status: 200, body }), known());
    deepStrictEqual(found.length === 0, same, JSON.stringify(found));
  });
}

const page = (text: string) => `<!DOCTYPE html>\n<body>\n<pre>${text}</pre>\n</body>\n`;

Deno.test("an error page is compared by its kind, not by stack frames and the parser's message", () => {
  const frames = "<br> &nbsp; &nbsp;at parse (/srv/a.js:1:2)<br> &nbsp; &nbsp;at b (node:c:3)";
  deepStrictEqual(
    withoutFrames(page(`SyntaxError: Unexpected end${frames}`)),
    page("SyntaxError: …"),
  );
  const was = { ...recorded, status: 400, body: page("SyntaxError: …") };
  const response = (body: string) => receivedWith({ status: 400, body });
  deepStrictEqual(differences(was, response(page(`SyntaxError: other${frames}`)), known()), []);
  match(differences(was, response(page(`TypeError: x${frames}`)), known()).join(), /TypeError/);
  match(differences(was, response('{"error":"no JSON"}'), known()).join(), /^body: /);
});

const NAME = "name-3f9a0c125b71";
const PSEUDONYMS: [what: string, recorded: string, actual: string, same: boolean][] = [
  [
    "any text matches a pseudonym",
    `{"id":1,"email":"email-3f9a0c125b71","token":"token-000000000000"}`,
    '{"id":1,"email":"anna@plant.example","token":"a.b.c"}',
    true,
  ],
  [
    "the same text elsewhere stays",
    `{"code":"X","name":"${NAME}"}`,
    '{"code":"Y","name":"Y"}',
    false,
  ],
  ["an empty text doesn't match one", `{"name":"${NAME}"}`, '{"name":""}', false],
  ["nor does a number", `{"name":"${NAME}"}`, '{"name":7}', false],
  ["nor does nothing", `{"name":"${NAME}"}`, "{}", false],
  [
    "lists are gone through by position",
    `[{"name":"${NAME}"},["name-3f9a0c135b71"]]`,
    '[{"name":"Anna"},["Béla \\"B\\""]]',
    true,
  ],
  ["numbers keep their digits", `{"a":540.0,"b":"${NAME}"}`, '{"a":540,"b":"c"}', false],
  ["around it, the text is the same", `<p>${NAME}, ${NAME}</p>`, "<p>Anna, Béla</p>", true],
  ["other text around it is found", `<p>${NAME}</p>`, "<b>Anna</b>", false],
  ["nothing in its place is found", `<p>${NAME}</p>`, "<p></p>", false],
];

for (const [what, body, actual, same] of PSEUDONYMS) {
  Deno.test(`of recorded pseudonyms: ${what}`, () => {
    const found = differences({ ...recorded, body }, receivedWith({ body: actual }), known());
    deepStrictEqual(found.length === 0, same, JSON.stringify(found));
  });
}
