import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { costOf, hashPassword } from "../auth/password_work.ts";
import { AUDIENCE, ISSUER, LEGACY_AUDIENCE } from "../auth/tokens.ts";
import { setDisabled } from "../db/accounts.ts";
import { REQUIRED, startApi, type TestResponse } from "../testing/api.ts";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { postDry, SECRET } from "../testing/dry_run.ts";
import { eventually } from "../testing/eventually.ts";
import { Session } from "./login.ts";
import { ErrorResponse } from "./responses.ts";
import { insertAccount } from "../testing/accounts.ts";

/* The login in AUTH_MODE=required; login_test.ts has the one in AUTH_MODE=legacy. */

const SETTINGS = {
  ...REQUIRED,
  // Each test uses its own address.
  TRUSTED_PROXIES: "127.0.0.1",
  LOGIN_MAX_FAILURES_PER_ACCOUNT: "3",
  LOGIN_MAX_FAILURES_PER_ADDRESS: "6",
};
const { api, sql, databaseUrl } = await apiOnSeed(SETTINGS);

let addresses = 0;
const newAddress = () => `192.0.2.${addresses++}`;

const login = (body: unknown, address = newAddress(), at = api) =>
  at.post("/api/login", body, { "x-forwarded-for": address });

const PASSWORD = "correct horse battery";
const HASH = await hashPassword(PASSWORD, 4);

/** A new account with this hash as its password. */
const newAccount = (hash: string | null = HASH) => insertAccount(sql, { role: "OPERATOR", hash });

async function hashOf(id: string): Promise<string | null> {
  const [row] = await sql<{ hash: string | null }[]>`
    select encrypted_password as hash from auth.users where id = ${id}`;
  return row?.hash ?? null;
}

const REFUSED = [401, { error: "Wrong email or password" }];
const seen = (response: TestResponse) => [response.status, ErrorResponse.parse(response.json)];

Deno.test("an email with its password gets the account and a token for every route", async () => {
  const { id, email } = await newAccount();
  const before = Date.now();
  const response = await login({ email, password: PASSWORD });
  strictEqual(response.status, 200);
  strictEqual(response.headers.get("cache-control"), "no-store");
  const { user, token } = Session.parse(response.json);
  deepStrictEqual([user.id, user.email, user.role], [id, email, "OPERATOR"]);

  const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", api.url));
  const { payload, protectedHeader } = await jwtVerify(token, keys, {
    algorithms: ["EdDSA"],
    issuer: ISSUER,
    audience: AUDIENCE,
    typ: "JWT",
  });
  strictEqual(protectedHeader.alg, "EdDSA");
  const { iat = 0, exp = 0, jti, ...rest } = payload;
  deepStrictEqual(rest, { iss: ISSUER, aud: AUDIENCE, sub: id, role: "OPERATOR" });
  strictEqual(exp - iat, 30 * 60);
  match(jti ?? "", /^[0-9a-f-]{36}$/);
  const trace = await api.get("/api/traceability/MIX-BATCH-88", {
    authorization: `Bearer ${token}`,
  });
  strictEqual(trace.status, 200);

  ok(Date.parse(user.last_login ?? "") >= before - 1_000);
  const [stored] = await sql<{ last_login: Date }[]>`
    select to_json(last_login at time zone 'UTC') #>> '{}' as last_login
    from users where id = ${id}`;
  match(String(stored?.last_login), new RegExp(`^${(user.last_login ?? "").slice(0, 19)}`));
});

const WRONG: [what: string, body: (email: string) => unknown][] = [
  ["a wrong password", (email) => ({ email, password: "wrong horse battery" })],
  ["the password in other letters", (email) => ({ email, password: PASSWORD.toUpperCase() })],
  ["a space after the password", (email) => ({ email, password: `${PASSWORD} ` })],
  ["a NUL after the password", (email) => ({ email, password: `${PASSWORD}\0` })],
  [
    "half a surrogate pair in the password",
    (email) => JSON.stringify({ email, password: `${PASSWORD}X` }).replace("X", "\\ud800"),
  ],
  ["an empty password", (email) => ({ email, password: "" })],
  ["no password", (email) => ({ email })],
  ["null as the password", (email) => ({ email, password: null })],
  ["a number as the password", (email) => ({ email, password: 1 })],
  ["a list with the password", (email) => ({ email, password: [PASSWORD] })],
  ["a password of 10,000 letters", (email) => ({ email, password: "a".repeat(10_000) })],
  ["an unknown email", () => ({ email: "nobody@example.com", password: PASSWORD })],
  ["an email in other letters", (email) => ({ email: email.toUpperCase(), password: PASSWORD })],
  ["a space before the email", (email) => ({ email: ` ${email}`, password: PASSWORD })],
  ["SQL", () => ({ email: "' or ''='", password: "' or ''='" })],
  ["an object as the email", (email) => ({ email: { email }, password: PASSWORD })],
  [
    "credentials in a prototype",
    (email) => `{"__proto__":{"email":"${email}","password":"${PASSWORD}"}}`,
  ],
  ["no fields", () => ({})],
  ["a list", (email) => [{ email, password: PASSWORD }]],
  ["no body", () => ""],
];

for (const [what, body] of WRONG) {
  Deno.test(`a login with ${what} is one and the same 401, and writes nothing`, async () => {
    const { id, email } = await newAccount();
    const response = await login(body(email));
    deepStrictEqual(seen(response), REFUSED);
    strictEqual(await hashOf(id), HASH);
    const [account] = await sql`select last_login from users where id = ${id}`;
    strictEqual(account?.last_login, null);
  });
}

Deno.test("an account without a usable hash is the same 401 with any password", async () => {
  const unusable = [null, "", "x", PASSWORD, "$2a$12$short", HASH.slice(0, -1), `${HASH}x`];
  for (const hash of [...unusable, HASH.replace("$2a$", "$1$"), "$2a$99" + HASH.slice(6)]) {
    const { email } = await newAccount(hash);
    deepStrictEqual(seen(await login({ email, password: PASSWORD })), REFUSED, `${hash}`);
    deepStrictEqual(seen(await login({ email, password: hash ?? "" })), REFUSED, `${hash}`);
  }
});

Deno.test("a disabled account is the same 401 with its right password", async () => {
  const { id, email } = await newAccount();
  await setDisabled(sql, id, true);
  deepStrictEqual(seen(await login({ email, password: PASSWORD })), REFUSED);
  strictEqual(await hashOf(id), HASH);
});

Deno.test("hashes made by other servers are accepted", async () => {
  for (const version of ["$2a$", "$2b$", "$2y$"]) {
    const { email } = await newAccount(HASH.replace("$2a$", version));
    strictEqual((await login({ email, password: PASSWORD })).status, 200, version);
  }
});

Deno.test("a login with a hash of a lower cost replaces it by one of today's cost, which works", async () => {
  const { id, email } = await newAccount();
  await login({ email, password: "wrong" });
  strictEqual(costOf(await hashOf(id)), 4);
  strictEqual((await login({ email, password: PASSWORD })).status, 200);
  const rehashed = await hashOf(id);
  strictEqual(costOf(rehashed), 12);
  strictEqual((await login({ email, password: PASSWORD })).status, 200);
  strictEqual(await hashOf(id), rehashed);
  deepStrictEqual(seen(await login({ email, password: "wrong" })), REFUSED);
});

Deno.test("a password of 72 bytes is accepted; one byte more is refused, not truncated", async () => {
  const password = "é".repeat(36);
  const { email } = await newAccount(await hashPassword(password, 4));
  deepStrictEqual(seen(await login({ email, password: `${password}x` })), REFUSED);
  deepStrictEqual(seen(await login({ email, password: password.slice(1) })), REFUSED);
  strictEqual((await login({ email, password })).status, 200);
});

/** One password as three keyboards send it: half composed, composed, decomposed. */
const SPELLINGS = ["\u00ea\u0301", "\u1ebf", "e\u0302\u0301"].map((e) => `H\u00fcvös ${e}jjel`);

Deno.test("a password is accepted from any keyboard, composed or decomposed, for a hash of either form", async () => {
  const [mixed = "", ...both] = SPELLINGS;
  for (const kept of both) {
    const { email } = await newAccount(
      await hashPassword(
        kept.normalize(
          kept === both[0] ? "NFC" : "NFD",
        ),
        4,
      ),
    );
    for (const typed of [mixed, ...both]) {
      strictEqual((await login({ email, password: typed })).status, 200, JSON.stringify(typed));
    }
    deepStrictEqual(seen(await login({ email, password: mixed.slice(1) })), REFUSED);
  }
  // A hash of neither form accepts the exact text that it was made of.
  const { id, email } = await newAccount(await hashPassword(mixed, 4));
  for (let round = 0; round < 2; round++) {
    strictEqual((await login({ email, password: mixed })).status, 200);
    strictEqual(costOf(await hashOf(id)), 12);
  }
});

Deno.test("a password of too many bytes is refused and counted as that, and its account is marked", async () => {
  const long = "\u00fc".repeat(40);
  // As a library makes it that truncates.
  const { id, email } = await newAccount(await hashPassword(long.slice(0, 36), 4));
  deepStrictEqual(seen(await login({ email, password: long })), REFUSED);
  await api.log.find((line) => line.includes(id) && line.includes('"too_long"'));
  await eventually("it is noted", async () => {
    return (await sql`select from lotline.long_passwords where user_id = ${id}`).length === 1;
  });
  strictEqual((await login({ email, password: long.slice(0, 36) })).status, 200);
});

Deno.test("a login works immediately after a change that ended the account's tokens", async () => {
  const { id, email } = await newAccount();
  await sql`insert into lotline.accounts (user_id, tokens_from)
    values (${id}, date_trunc('second', now()) + interval '2 seconds')`;
  const { token } = Session.parse((await login({ email, password: PASSWORD })).json);
  const response = await api.get("/api/traceability/MIX-BATCH-88", {
    authorization: `Bearer ${token}`,
  });
  strictEqual(response.status, 200);
});

Deno.test("after too many failed tries an account is 429 from any address, other accounts are not", async () => {
  const [tried, other] = [await newAccount(), await newAccount()];
  for (let i = 0; i < 3; i++) {
    deepStrictEqual(seen(await login({ email: tried.email, password: "wrong" })), REFUSED);
  }
  for (const password of ["wrong", PASSWORD]) {
    const response = await login({ email: tried.email, password });
    deepStrictEqual(seen(response), [429, { error: "Too many failed logins, try again later" }]);
    const wait = Number(response.headers.get("retry-after"));
    ok(wait > 800 && wait <= 900, `${wait} s`);
  }
  strictEqual((await login({ email: other.email, password: PASSWORD })).status, 200);
});

Deno.test("an unknown email is throttled like a known one", async () => {
  const email = `${crypto.randomUUID()}@example.com`;
  const statuses = [];
  for (let i = 0; i < 4; i++) statuses.push((await login({ email, password: "wrong" })).status);
  deepStrictEqual(statuses, [401, 401, 401, 429]);
});

Deno.test("a right password clears the account's failed tries", async () => {
  const { email } = await newAccount();
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 2; i++) await login({ email, password: "wrong" });
    strictEqual((await login({ email, password: PASSWORD })).status, 200);
  }
});

Deno.test("after too many failed tries an address is 429 for every account, another address is not", async () => {
  const address = newAddress();
  for (let i = 0; i < 6; i++) {
    strictEqual((await login({ email: `a${i}@example.com`, password: "x" }, address)).status, 401);
  }
  const { email } = await newAccount();
  strictEqual((await login({ email, password: PASSWORD }, address)).status, 429);
  strictEqual((await login({ email, password: PASSWORD })).status, 200);
});

Deno.test("without trusted proxies an address can't be forged", async () => {
  await using open = await startApi({
    databaseUrl,
    environment: { ...SETTINGS, TRUSTED_PROXIES: "" },
  });
  for (let i = 0; i < 6; i++) {
    const response = await login({ email: `b${i}@example.com`, password: "x" }, newAddress(), open);
    strictEqual(response.status, 401);
  }
  const response = await login({ email: "b7@example.com", password: "x" }, newAddress(), open);
  strictEqual(response.status, 429);
});

Deno.test("a token of AUTH_MODE=legacy is invalid after the switch to required", async () => {
  await using legacy = await startApi({ databaseUrl, keyFile: api.keyFile });
  const { token } = Session.parse(
    (await legacy.post("/api/login", { email: "admin@flowviz.com" })).json,
  );
  const [, claims = ""] = token.split(".");
  strictEqual(JSON.parse(atob(claims)).aud, LEGACY_AUDIENCE);
  const headers = { authorization: `Bearer ${token}` };
  strictEqual((await legacy.get("/metrics", headers)).status, 200);
  strictEqual((await api.get("/metrics", headers)).status, 401);
});

Deno.test("legacy: a login by email alone is counted, and its password isn't checked", async () => {
  await using legacy = await startApi({ databaseUrl });
  const counted = async () => {
    const { text } = await legacy.get("/metrics");
    return /^lotline_required_would_refuse_total\{operation="login",reason="no_password"\} (\d+)$/m
      .exec(text)?.[1];
  };
  const { email } = await newAccount();
  strictEqual((await legacy.post("/api/login", { email, password: "wrong" })).status, 200);
  strictEqual(await counted(), undefined);
  strictEqual((await legacy.post("/api/login", { email })).status, 200);
  strictEqual(await counted(), "1");
});

Deno.test("legacy: a login with a password of over 72 bytes is counted by its bytes, and its account is marked", async () => {
  await using legacy = await startApi({ databaseUrl, environment: { DRY_RUN_SECRET: SECRET } });
  const counted = async () => {
    const { text } = await legacy.get("/metrics");
    const name = 'lotline_required_would_refuse_total{operation="login",reason="long_password"} ';
    return Number(text.split("\n").find((line) => line.startsWith(name))?.slice(name.length) ?? 0);
  };
  const isNoted = async (id: string) =>
    (await sql`select from lotline.long_passwords where user_id = ${id}`).length === 1;
  const fits = ["x".repeat(72), "\u00fc".repeat(36), "u\u0308".repeat(30), "😀".repeat(18)];
  const long = ["x".repeat(73), "\u00fc".repeat(40), "u\u0308".repeat(40), "😀".repeat(19)];
  for (const [passwords, isLong] of [[fits, false], [long, true]] as const) {
    for (const password of passwords) {
      const { id, email } = await newAccount();
      const before = await counted();
      const dry = await postDry(legacy, "/api/login", { email, password });
      strictEqual(dry.status, 200);
      strictEqual(await counted() - before, isLong ? 1 : 0);
      strictEqual((await legacy.post("/api/login", { email, password })).status, 200);
      strictEqual(await counted() - before, isLong ? 2 : 0, password);
      if (isLong) await eventually("it is noted", () => isNoted(id));
      else strictEqual(await isNoted(id), false);
    }
  }
  const { id, email } = await newAccount();
  for (const sent of [email, `no-${email}`]) {
    await postDry(legacy, "/api/login", { email: sent, password: long[0] });
  }
  await legacy.post("/api/login", { email: `no-${email}`, password: long[0] });
  strictEqual(await isNoted(id), false);
});

Deno.test("the outcome of each login is counted and logged, without email or password", async () => {
  const { id, email } = await newAccount();
  const { token } = Session.parse((await login({ email, password: PASSWORD })).json);
  await login({ email, password: "wrong-password-7" });
  await setDisabled(sql, id, true);
  // Nothing reveals whether a disabled account's password was right, not even the log.
  await login({ email, password: PASSWORD });
  const lines = [];
  for (const outcome of ["accepted", "wrong", "disabled"]) {
    lines.push(await api.log.find((line) => line.includes(id) && line.includes(`"${outcome}"`)));
  }
  for (const line of lines) {
    const { event, user_id, request_id } = JSON.parse(line);
    deepStrictEqual([event, user_id], ["login", id]);
    // The request's own line has the same id; of a refusal it has the account, too.
    const ofRequest = await api.log.find((other) =>
      other.includes(request_id) && other.includes('"event":"request"')
    );
    const { status, refused, user_id: account } = JSON.parse(ofRequest);
    const isRefused = status === 401;
    deepStrictEqual(
      [refused, account],
      isRefused ? ["wrong_credentials", id] : [undefined, undefined],
    );
  }
  for (const line of api.log.lines) {
    for (const secret of [email, PASSWORD, "wrong-password-7", token, "$2a$"]) {
      ok(!line.includes(secret), line);
    }
  }
});
