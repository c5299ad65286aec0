import {
  deepStrictEqual,
  match,
  notStrictEqual,
  ok,
  rejects,
  strictEqual,
} from "node:assert/strict";
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import { join } from "node:path";
import { createKeyFile, loadSigningKeys, type SigningKeys } from "./keys.ts";
import { createTokenIssuer } from "./tokens.ts";

async function newKeys(): Promise<SigningKeys> {
  const folder = await Deno.makeTempDir({ prefix: "lotline-test-" });
  try {
    const path = join(folder, "keys.json");
    await createKeyFile(path);
    return await loadSigningKeys(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const SUBJECT = { id: "00000000-0000-0000-0000-000000000002", role: "OPERATOR" };
/** What a database row has besides: none of it may get into a token. */
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

Deno.test("a token holds who it is for, from whom and how long, and nothing else", async () => {
  const keys = await newKeys();
  const before = Math.floor(Date.now() / 1000);
  const token = await createTokenIssuer(keys)(ACCOUNT);
  const after = Math.floor(Date.now() / 1000);
  const { payload, protectedHeader } = await verify(token, keys);
  deepStrictEqual(protectedHeader, { alg: "EdDSA", typ: "JWT", kid: keys.kid });
  const { iat = NaN, exp = NaN, jti, ...rest } = payload;
  deepStrictEqual(rest, { iss: "lotline", aud: "lotline", sub: SUBJECT.id, role: SUBJECT.role });
  ok(before <= iat && iat <= after);
  strictEqual(exp - iat, 30 * 60);
  match(jti ?? "", /^[0-9a-f-]{36}$/);
});

Deno.test("a token is good for 30 minutes and no longer", async () => {
  const keys = await newKeys();
  const token = await createTokenIssuer(keys)(SUBJECT);
  const { payload: { iat = NaN } } = await verify(token, keys);
  await verify(token, keys, new Date((iat + 30 * 60 - 1) * 1000));
  await rejects(verify(token, keys, new Date((iat + 30 * 60) * 1000)), {
    code: "ERR_JWT_EXPIRED",
  });
});

Deno.test("two tokens for one account have different ids", async () => {
  const keys = await newKeys();
  const issue = createTokenIssuer(keys);
  const [one, two] = await Promise.all([issue(SUBJECT), issue(SUBJECT)]);
  const [first, second] = await Promise.all([verify(one, keys), verify(two, keys)]);
  notStrictEqual(first.payload.jti, second.payload.jti);
});

Deno.test("an account without a role gets a token that says so", async () => {
  const keys = await newKeys();
  const token = await createTokenIssuer(keys)({ ...SUBJECT, role: null });
  strictEqual((await verify(token, keys)).payload.role, null);
});

Deno.test("a token of other keys, or one that was altered, does not verify", async () => {
  const [ours, others] = [await newKeys(), await newKeys()];
  const foreign = await createTokenIssuer({ ...others, kid: ours.kid })(SUBJECT);
  await rejects(verify(foreign, ours), { code: "ERR_JWS_SIGNATURE_VERIFICATION_FAILED" });

  const token = await createTokenIssuer(ours)(SUBJECT);
  const [header, payload = "", signature] = token.split(".");
  const claims = { ...JSON.parse(atob(payload)), role: "ADMIN" };
  const altered = [header, btoa(JSON.stringify(claims)).replaceAll("=", ""), signature].join(".");
  strictEqual(decodeProtectedHeader(altered).kid, ours.kid);
  await rejects(verify(altered, ours), { code: "ERR_JWS_SIGNATURE_VERIFICATION_FAILED" });
});
