import {
  deepStrictEqual,
  match,
  notStrictEqual,
  ok,
  rejects,
  strictEqual,
} from "node:assert/strict";
import { createLocalJWKSet, jwtVerify } from "jose";
import type { TokenFault as Why } from "../metrics.ts";
import { keyFiles, keysInMemory } from "../testing/keys.ts";
import { TOKEN_FAULTS, type TokenFault, tokenMaker } from "../testing/tokens.ts";
import type { Claims } from "./claims.ts";
import { loadSigningKeys, type SigningKeys } from "./keys.ts";
import { AUDIENCE, createTokenIssuer, createTokenVerifier, LEGACY_AUDIENCE } from "./tokens.ts";
import type { WatchedKeys } from "./watched_keys.ts";

const newKeyFile = await keyFiles();

const newKeys = async () => await loadSigningKeys(await newKeyFile());

const issuer = (keys: SigningKeys, minutes = 30, audience = AUDIENCE) =>
  createTokenIssuer(keysInMemory(keys), minutes, audience);

const SUBJECT = { id: "00000000-0000-0000-0000-000000000002", role: "OPERATOR" };
/** Further columns of a database row: none of them may get into a token. */
const ACCOUNT = { ...SUBJECT, email: "operator@flowviz.com", full_name: "John Operator" };

const verify = (token: string, { published }: SigningKeys, currentDate = new Date()) =>
  jwtVerify(token, createLocalJWKSet({ keys: [...published.keys] }), {
    algorithms: ["EdDSA"],
    issuer: "lotline",
    audience: "lotline",
    typ: "JWT",
    requiredClaims: ["sub", "iat", "exp", "jti"],
    currentDate,
  });

Deno.test("a token names its subject, issuer and lifetime, and nothing else", async () => {
  const keys = await newKeys();
  const before = Math.floor(Date.now() / 1000);
  const token = issuer(keys)(ACCOUNT);
  const after = Math.floor(Date.now() / 1000);
  const { payload, protectedHeader } = await verify(token, keys);
  deepStrictEqual(protectedHeader, { alg: "EdDSA", typ: "JWT", kid: keys.kid });
  const { iat = NaN, exp = NaN, jti, ...rest } = payload;
  deepStrictEqual(rest, { iss: "lotline", aud: "lotline", sub: SUBJECT.id, role: SUBJECT.role });
  ok(before <= iat && iat <= after);
  strictEqual(exp - iat, 30 * 60);
  match(jti ?? "", /^[0-9a-f-]{36}$/);
});

Deno.test("a token is valid for the set number of minutes and no longer", async () => {
  const keys = await newKeys();
  const token = issuer(keys, 45)(SUBJECT);
  const { payload: { iat = NaN } } = await verify(token, keys);
  await verify(token, keys, new Date((iat + 45 * 60 - 1) * 1000));
  await rejects(verify(token, keys, new Date((iat + 45 * 60) * 1000)), {
    code: "ERR_JWT_EXPIRED",
  });
});

Deno.test("two tokens for one account have different ids", async () => {
  const keys = await newKeys();
  const issue = issuer(keys);
  const [one, two] = await Promise.all([issue(SUBJECT), issue(SUBJECT)]);
  const [first, second] = await Promise.all([verify(one, keys), verify(two, keys)]);
  notStrictEqual(first.payload.jti, second.payload.jti);
});

Deno.test("the token of an account without a role says so", async () => {
  const keys = await newKeys();
  const token = issuer(keys)({ ...SUBJECT, role: null });
  strictEqual((await verify(token, keys)).payload.role, null);
});

Deno.test("a token isn't issued earlier than its account's tokens may start", async () => {
  const keys = await newKeys();
  const notBefore = Math.floor(Date.now() / 1000) + 2;
  const { payload } = await verify(issuer(keys)(SUBJECT, notBefore), keys);
  deepStrictEqual([payload.iat, payload.exp], [notBefore, notBefore + 30 * 60]);
  const past = await verify(issuer(keys)(SUBJECT, notBefore - 1_000), keys);
  ok((past.payload.iat ?? 0) >= notBefore - 2);
});

const verifier = (keys: WatchedKeys, audiences = [AUDIENCE]) =>
  createTokenVerifier(keys, 30, audiences);

/** The claims of a token that must be valid. */
function good(found: Claims | Why): Claims {
  if (typeof found === "string") throw new Error(`the token is refused: ${found}`);
  return found;
}

/** The reason for each invalid token, which only the operator sees. */
const WHY: Record<TokenFault, Why> = {
  "signed by a foreign key": "unknown_key",
  "signed by a foreign key under our key's name": "signature",
  "signed by a foreign key that it brings along": "signature",
  "expired": "expired",
  "of the none algorithm": "algorithm",
  "of the none algorithm in capitals, with the signature of another": "algorithm",
  "HS256 with the public key's bytes": "algorithm",
  "HS256 with the public key's text": "algorithm",
  "HS256 with the public key as PEM": "algorithm",
  "HS256 with the public key as DER": "algorithm",
  "HS256 with the published key as JSON": "algorithm",
  "HS256 with an empty secret": "algorithm",
  "of another algorithm under our key's name": "algorithm",
  "for another audience": "audience",
  "from a login without a password": "audience",
  "without an audience": "claims",
  "from another issuer": "issuer",
  "without an issuer": "claims",
  "without exp": "claims",
  "without iat": "claims",
  "without sub": "claims",
  "without jti": "claims",
  "without a role": "claims",
  "with a future iat": "not_yet_valid",
  "not valid before later": "not_yet_valid",
  "issued too long ago, for too long": "expired",
  "with an unknown role": "claims",
  "with a subject that is no id": "claims",
  "of an altered payload": "signature",
  "of an altered signature": "signature",
  "of another type": "type",
  "without a type": "type",
  "of an extension that must be understood": "malformed",
  "cut off": "signature",
  "no token at all": "malformed",
};

Deno.test("an issued token is verified, and returns its claims", async () => {
  const keys = await newKeys();
  const token = issuer(keys)(ACCOUNT);
  const verify = verifier(keysInMemory(keys));
  const claims = good(await verify(token));
  deepStrictEqual([claims.sub, claims.role], [SUBJECT.id, SUBJECT.role]);
  strictEqual(claims.exp - claims.iat, 30 * 60);
  deepStrictEqual(await verify(token), claims);
});

const keyFile = await newKeyFile();
const maker = await tokenMaker(keyFile);

Deno.test("the tests' valid token is valid: their invalid ones fail only for their fault", async () => {
  const verify = verifier(keysInMemory(await loadSigningKeys(keyFile)));
  strictEqual(good(await verify(maker.good(SUBJECT))).sub, SUBJECT.id);
});

for (const fault of Object.keys(TOKEN_FAULTS) as TokenFault[]) {
  Deno.test(`a token ${fault} is refused with its reason, also after a valid one was seen`, async () => {
    const verify = verifier(keysInMemory(await loadSigningKeys(keyFile)));
    await verify(maker.good(SUBJECT));
    const token = maker.faulty(fault, SUBJECT);
    strictEqual(await verify(token), WHY[fault]);
    strictEqual(await verify(token), WHY[fault]);
  });
}

Deno.test("a token from a login without a password is accepted only where that is configured", async () => {
  const keys = await newKeys();
  const token = issuer(keys, 30, LEGACY_AUDIENCE)(SUBJECT);
  strictEqual(await verifier(keysInMemory(keys))(token), "audience");
  const claims = good(await verifier(keysInMemory(keys), [AUDIENCE, LEGACY_AUDIENCE])(token));
  strictEqual(claims.sub, SUBJECT.id);
});

Deno.test("a token ends with the key that signed it, even if it was seen before", async () => {
  const [before, after] = [await newKeys(), await newKeys()];
  const token = issuer(before)(SUBJECT);
  const keys = keysInMemory(before, () => after);
  const verify = verifier(keys);
  strictEqual(good(await verify(token)).sub, SUBJECT.id);
  await keys.refresh();
  strictEqual(await verify(token), "unknown_key");
});

Deno.test("an unknown key is looked up once, and is known afterwards", async () => {
  const [before, after] = [await newKeys(), await newKeys()];
  let requested = 0;
  const verify = verifier(keysInMemory(before, () => {
    requested++;
    return after;
  }));
  strictEqual(good(await verify(issuer(after)(SUBJECT))).sub, SUBJECT.id);
  strictEqual(good(await verify(issuer(after)(SUBJECT))).sub, SUBJECT.id);
  strictEqual(requested, 1);
});

/** Issues a token with the clock behind by this many minutes. */
function issuedBefore(minutes: number, issue: () => string): string {
  const now = Date.now;
  Date.now = () => now() - minutes * 60_000;
  try {
    return issue();
  } finally {
    Date.now = now;
  }
}

Deno.test("a token is accepted until its end, however old it is then", async () => {
  const keys = await newKeys();
  const issue = issuer(keys);
  const verify = verifier(keysInMemory(keys));
  for (const minutes of [1, 15, 28]) {
    const token = issuedBefore(minutes, () => issue(SUBJECT));
    strictEqual(good(await verify(token)).sub, SUBJECT.id, `${minutes} minutes old`);
  }
  strictEqual(await verify(issuedBefore(31, () => issue(SUBJECT))), "expired");
});

Deno.test("a token whose key is removed during its verification isn't cached as valid", async () => {
  const [before, after] = [await newKeys(), await newKeys()];
  const token = issuer(before)(SUBJECT);
  const keys = keysInMemory(before, () => after);
  const verify = verifier(keys);
  const looking = verify(token);
  await keys.refresh();
  // The lookup for another token loads the new keys before the first one finishes.
  const other = verify(issuer(after)(SUBJECT));
  await Promise.all([looking, other]);
  strictEqual(await verify(token), "unknown_key");
});

Deno.test("a verified token is remembered until it expires", async () => {
  const keys = await newKeys();
  const token = issuer(keys)(SUBJECT);
  const verify = verifier(keysInMemory(keys));
  const claims = good(await verify(token));
  strictEqual(await verify(token), claims);
  const now = Date.now;
  Date.now = () => claims.exp * 1_000;
  try {
    notStrictEqual(await verify(token), claims);
  } finally {
    Date.now = now;
  }
});

Deno.test("of 10,001 verified tokens the one that was used first is verified again", async () => {
  const keys = await newKeys();
  const issue = issuer(keys);
  const verify = verifier(keysInMemory(keys));
  const tokens = Array.from({ length: 10_001 }, () => issue(SUBJECT));
  const claims: Claims[] = [];
  for (const token of tokens) claims.push(good(await verify(token)));
  for (const at of [1, 5_000, 10_000]) strictEqual(await verify(tokens[at] ?? ""), claims[at]);
  notStrictEqual(good(await verify(tokens[0] ?? "")), claims[0]);
});
