import { deepStrictEqual, notStrictEqual, strictEqual } from "node:assert/strict";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { ISSUER, LEGACY_AUDIENCE } from "../auth/tokens.ts";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { Session } from "./login.ts";
import { ErrorResponse } from "./responses.ts";

const { api, sql } = await apiOnSeed();
const login = (body: unknown, headers?: HeadersInit) => api.post("/api/login", body, headers);

const OPERATOR = {
  id: "00000000-0000-0000-0000-000000000002",
  email: "operator@flowviz.com",
  full_name: "John Operator",
  role: "OPERATOR",
  created_at: "2026-01-01T08:05:00.000Z",
  last_login: "2026-01-17T06:30:12.345Z",
};

Deno.test("a known email gets its account, all columns in their order, and a token", async () => {
  const response = await login({ email: OPERATOR.email });
  strictEqual(response.status, 200);
  const { user, token } = Session.parse(response.json);
  deepStrictEqual(user, OPERATOR);
  strictEqual(response.text, JSON.stringify({ user: OPERATOR, token }));
});

Deno.test("the token is the account's, and the published keys verify its signature", async () => {
  const { token } = Session.parse((await login({ email: OPERATOR.email })).json);
  const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", api.url));
  const { payload } = await jwtVerify(token, keys, {
    algorithms: ["EdDSA"],
    issuer: ISSUER,
    audience: LEGACY_AUDIENCE,
    requiredClaims: ["sub", "exp", "iat", "jti"],
  });
  deepStrictEqual([payload.sub, payload.role], [OPERATOR.id, "OPERATOR"]);
});

Deno.test("each login gets a new token", async () => {
  const [one, two] = [await login({ email: OPERATOR.email }), await login(OPERATOR)];
  deepStrictEqual(one.json.user, two.json.user);
  notStrictEqual(one.json.token, two.json.token);
});

Deno.test("names with accents and nulls are shown unchanged", async () => {
  const viewer = Session.parse((await login({ email: "viewer@flowviz.com" })).json);
  strictEqual(viewer.user.full_name, "Kovács Éva");
  const auditor = Session.parse((await login({ email: "auditor@flowviz.com" })).json);
  deepStrictEqual([auditor.user.full_name, auditor.user.last_login], [null, null]);
});

Deno.test("an account without a role can log in, and its token names none", async () => {
  const id = "00000000-0000-4000-8000-00000000aa01";
  await sql`insert into auth.users (id) values (${id})`;
  await sql`insert into users (id, email, role) values (${id}, 'nobody@flowviz.com', null)`;
  const { user, token } = Session.parse((await login({ email: "nobody@flowviz.com" })).json);
  strictEqual(user.role, null);
  strictEqual(JSON.parse(atob(token.split(".")[1] ?? "")).role, null);
});

Deno.test("of several accounts with one email the oldest logs in, then the lowest id", async () => {
  const ids = [1, 2, 3].map((n) => `00000000-0000-4000-8000-00000000bb0${n}`);
  for (const [i, created] of [[0, "2026-02-02"], [2, "2026-02-01"], [1, "2026-02-01"]] as const) {
    const id = ids[i] ?? "";
    await sql`insert into auth.users (id) values (${id})`;
    await sql`insert into users (id, email, created_at)
      values (${id}, 'shared@flowviz.com', ${created})`;
  }
  strictEqual((await login({ email: "shared@flowviz.com" })).json.user.id, ids[1]);
});

const REFUSED: [what: string, body: unknown, headers?: HeadersInit][] = [
  ["an unknown email", { email: "nobody@example.com" }],
  ["an email in other letters", { email: "Operator@flowviz.com" }],
  ["an email with a space around it", { email: " operator@flowviz.com" }],
  ["a pattern", { email: "%@flowviz.com" }],
  ["SQL", { email: "' or ''='" }],
  ["no email", { username: OPERATOR.email }],
  ["an empty email", { email: "" }],
  ["null", { email: null }],
  ["a number", { email: 2 }],
  ["a list with the email in it", { email: [OPERATOR.email] }],
  ["an object", { email: { email: OPERATOR.email } }],
  ["a NUL", { email: "operator@flowviz.com\0" }],
  ["half a surrogate pair", '{"email":"operator@flowviz.com\\ud800"}'],
  ["an email that only a prototype has", `{"__proto__":{"email":"${OPERATOR.email}"}}`],
  ["no fields", {}],
  ["an email of 10,000 levels", `{"email":${"[".repeat(10_000)}${"]".repeat(10_000)}}`],
  ["a list", [OPERATOR]],
  ["no body", ""],
  ["another media type", { email: OPERATOR.email }, { "content-type": "text/plain" }],
  ["a form", `email=${OPERATOR.email}`, { "content-type": "application/x-www-form-urlencoded" }],
];

for (const [what, body, headers] of REFUSED) {
  Deno.test(`a login with ${what} is 401 "User not found"`, async () => {
    const response = await login(body, headers);
    deepStrictEqual([response.status, ErrorResponse.parse(response.json)], [401, {
      error: "User not found",
    }]);
  });
}

Deno.test("additional fields of any content are ignored", async () => {
  const more = { password: "x", id: null, role: "ADMIN", deep: { a: [1, { b: "\0" }] }, "a'b": 1 };
  const { user } = Session.parse((await login({ ...more, email: OPERATOR.email })).json);
  deepStrictEqual(user, OPERATOR);
});

Deno.test("a body that is no JSON is 400, not 401", async () => {
  for (const body of ["{", "null", '"text"', "7", `{email:"${OPERATOR.email}"}`]) {
    strictEqual((await login(body)).status, 400, body);
  }
});

Deno.test("a login writes nothing", async () => {
  const before = await sql`select * from users order by id`;
  const auth = await sql`select * from auth.users order by id`;
  await login({ email: OPERATOR.email });
  await login({ email: "nobody@example.com" });
  deepStrictEqual(await sql`select * from users order by id`, before);
  deepStrictEqual(await sql`select * from auth.users order by id`, auth);
});
