import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { hashPassword } from "../auth/password_work.ts";
import { REQUIRED } from "../testing/api.ts";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { bytesOf, INTERNAL_WORDS, rawRequest, sendRaw } from "../testing/raw_http.ts";

/*
 * The invalid input of bad_bodies_test.ts and bad_values_test.ts, on the login of
 * AUTH_MODE=required.
 */

const { api, sql } = await apiOnSeed({
  ...REQUIRED,
  LOGIN_MAX_FAILURES_PER_ACCOUNT: "1000",
  LOGIN_MAX_FAILURES_PER_ADDRESS: "100000",
});
const port = Number(new URL(api.url).port);

const EMAIL = "admin@flowviz.com";
const PASSWORD = "correct horse battery";
const HASH = await hashPassword(PASSWORD, 4);
await sql`update auth.users set encrypted_password = ${HASH}
  where id = (select id from users where email = ${EMAIL})`;

type Case = [what: string, bytes: string | Uint8Array, statuses: number[]];

const JSON_TYPE = "Content-Type: application/json\r\n";
const login = (body: string | Uint8Array, headers = JSON_TYPE) =>
  rawRequest("POST /api/login", headers, body);
const GOOD = `"email":"${EMAIL}","password":"${PASSWORD}"`;
const email = (value: string) => login(`{"email":${value},"password":"${PASSWORD}"}`);
const password = (value: string) => login(`{"email":"${EMAIL}","password":${value}}`);
const deep = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
const joined = (...parts: (string | number[])[]) =>
  Uint8Array.from(parts.flatMap((part) => typeof part === "string" ? [...bytesOf(part)] : part));
const GZIP = `${JSON_TYPE}Content-Encoding: gzip\r\n`;

const CASES: Case[] = [
  ["no body", rawRequest("POST /api/login", JSON_TYPE), [401]],
  ["text instead of JSON", login(`{${GOOD}}`, "Content-Type: text/plain\r\n"), [401]],
  ["a form", login(`email=${EMAIL}`, "Content-Type: application/x-www-form-urlencoded\r\n"), [401]],
  ["no type", login(`{${GOOD}}`, ""), [401]],
  ["another charset", login(`{${GOOD}}`, "Content-Type: application/json; charset=latin1\r\n"), [
    415,
  ]],
  ["another encoding", login(`{${GOOD}}`, `${JSON_TYPE}Content-Encoding: br\r\n`), [415]],
  ["gzip that is none", login(`{${GOOD}}`, GZIP), [400]],
  ["broken JSON", login(`{${GOOD}`), [400]],
  ["JSON null", login("null"), [400]],
  ["a JSON number", login("5"), [400]],
  ["JSON text", login(`"${EMAIL}"`), [400]],
  ["a list", login(`[{${GOOD}}]`), [401]],
  ["102,401 bytes", login(`{${GOOD},"x":"${"x".repeat(102_401)}"}`), [413]],
  ["a zip bomb", login(gzipSync(" ".repeat(50_000_000)), GZIP), [413]],
  ["10,000 levels for an email", email(deep(10_000)), [401]],
  ["10,000 levels for a password", password(deep(10_000)), [401]],
  ["NUL in an email", email(`"${EMAIL}\\u0000"`), [401]],
  ["NUL in a password", password(`"${PASSWORD}\\u0000"`), [401]],
  ["NUL alone for a password", password('"\\u0000"'), [401]],
  ["bad UTF-8 in an email", login(joined('{"email":"', [0xff], '"}')), [401]],
  ["bad UTF-8 in a password", login(joined(`{"email":"${EMAIL}","password":"`, [0xff], '"}')), [
    401,
  ]],
  ["bad UTF-8 behind the JSON", login(joined(`{${GOOD}}`, [0xff])), [400]],
  ["a lone surrogate in an email", email(`"${EMAIL}\\ud800"`), [401]],
  ["a lone surrogate in a password", password(`"${PASSWORD}\\udc00"`), [401]],
  ["1e400 for a password", password("1e400"), [401]],
  ["9007199254740993 for a password", password("9007199254740993"), [401]],
  ["NaN as text", password('"NaN"'), [401]],
  ["credentials in __proto__", login(`{"__proto__":{${GOOD}}}`), [401]],
  ["credentials in constructor", login(`{"constructor":{"prototype":{${GOOD}}}}`), [401]],
  ["SQL in a key", login(`{"email = '' or true --":"${EMAIL}","password":"x"}`), [401]],
  ["SQL in an email", email('"\' or true --"'), [401]],
  ["SQL in a password", password('"\' or true --"'), [401]],
  ["an email twice, the last unknown", login(`{${GOOD},"email":"nobody@example.com"}`), [401]],
  ["a password twice, the last wrong", login(`{${GOOD},"password":"x"}`), [401]],
  ["an unknown key for the password", login(`{"email":"${EMAIL}","passwort":"${PASSWORD}"}`), [
    401,
  ]],
  ...["null", "true", "7", "[]", "{}", `["${EMAIL}"]`].map((value): Case => [
    `${value} for an email`,
    email(value),
    [401],
  ]),
  ...["null", "true", "7", "[]", "{}", `["${PASSWORD}"]`].map((value): Case => [
    `${value} for a password`,
    password(value),
    [401],
  ]),
  ["an email too long", email(`"${"a".repeat(90_000)}@example.com"`), [401]],
  ["a password too long", password(`"${"a".repeat(90_000)}"`), [401]],
  ["the password, and more behind its 72nd byte", password(`"${PASSWORD.padEnd(73, "x")}"`), [401]],
  ["the hash for a password", password(`"${HASH}"`), [401]],
  ["another method", rawRequest("GET /api/login"), [405]],
  ["an unknown method", rawRequest("BREW /api/login"), [405]],
  ["TRACE", rawRequest("TRACE /api/login"), [405]],
  ["a broken escape behind the path", rawRequest("POST /api/login%zz", JSON_TYPE, `{${GOOD}}`), [
    404,
  ]],
  ["credentials in the query", rawRequest(`POST /api/login?email=${EMAIL}`, JSON_TYPE, "{}"), [
    401,
  ]],
  [
    "a URL of 60,000 letters",
    rawRequest(`POST /api/login?${"x".repeat(60_000)}`, JSON_TYPE, "{}"),
    [
      401,
      414,
    ],
  ],
];

const PROTOCOL_CASES: Case[] = [
  ["a megabyte of headers", login("{}", `${JSON_TYPE}X: ${"x".repeat(1_000_000)}\r\n`), [400, 431]],
  ["two lengths", wire("Content-Length: 2\r\nContent-Length: 3\r\n", "{}x"), [400]],
  [
    "a length and chunks",
    wire("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
    [400],
  ],
];

function wire(headers: string, body: string): string {
  return `POST /api/login HTTP/1.1\r\nHost: plant\r\n${JSON_TYPE}${headers}\r\n${body}`;
}

/** Everything that a login could have changed. */
async function rows() {
  return [
    ...await sql`select * from auth.users order by id`,
    ...await sql`select * from users order by id`,
    ...await sql`select * from lotline.accounts`,
    ...await sql`select * from lotline.revoked_tokens`,
  ];
}
const before = await rows();

for (const [what, bytes, statuses] of CASES) {
  Deno.test(`a login with ${what} is ${statuses.join(" or ")}, and nothing is stored`, async () => {
    const { status, head, body } = await sendRaw(port, bytes);
    ok(statuses.includes(status), `${head}\n${body}`);
    const response = JSON.parse(body);
    if (status === 401) deepStrictEqual(response, { error: "Wrong email or password" });
    ok(typeof response.error === "string" && response.error.length > 0, body);
    ok(!INTERNAL_WORDS.test(body), body);
    ok(/^content-type: application\/json; charset=utf-8$/im.test(head), head);
    deepStrictEqual(await rows(), before);
  });
}

for (const [what, bytes, statuses] of PROTOCOL_CASES) {
  Deno.test(`a login with ${what} is refused by the HTTP layer`, async () => {
    const { status, head } = await sendRaw(port, bytes);
    // It may close the connection before its response has been read.
    ok([...statuses, 0].includes(status), head);
    deepStrictEqual(await rows(), before);
  });
}

Deno.test("a login without a Host is 400", async () => {
  const { status } = await sendRaw(
    port,
    `POST /api/login HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}`,
  );
  strictEqual(status, 400);
});

Deno.test("after all that the right password is accepted, and no fault or secret was logged", async () => {
  const { status } = await sendRaw(port, login(`{${GOOD}}`));
  strictEqual(status, 200);
  for (const line of api.log.lines) {
    ok(!line.includes('"level":"error"'), line);
    for (const secret of [EMAIL, PASSWORD, HASH]) ok(!line.includes(secret), line);
  }
});
