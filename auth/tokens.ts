import { Buffer } from "node:buffer";
import { sign } from "node:crypto";
import { createLocalJWKSet, errors, jwtVerify } from "jose";
import { LRUCache } from "lru-cache";
import type { TokenFault } from "../metrics.ts";
import { type Claims, ClaimsOfToken } from "./claims.ts";
import { ALGORITHM } from "./key_file.ts";
import type { SigningKeys } from "./keys.ts";
import type { WatchedKeys } from "./watched_keys.ts";

export const ISSUER = "lotline";
/** The audience of tokens from a login with a password. */
export const AUDIENCE = "lotline";
/**
 * The audience of tokens that `AUTH_MODE=legacy` issues for an email alone. `required` refuses it:
 * otherwise anyone could obtain a token of any account before the switch.
 */
export const LEGACY_AUDIENCE = "lotline-legacy";

/** The tolerated difference between two machines' clocks, in s. */
const CLOCK_TOLERANCE_S = 5;
const TYPE = "JWT";

export interface TokenSubject {
  readonly id: string;
  readonly role: string | null;
}

/**
 * Issues a signed token for an account.
 *
 * @param notBefore the earliest `iat` of the account's tokens, in s since 1970
 */
export type TokenIssuer = (user: TokenSubject, notBefore?: number | null) => string;

export type TokenVerifier = ReturnType<typeof createTokenVerifier>;

/**
 * Issues JWTs (RFC 7519) with `iss aud sub role iat exp jti`, without name and email. They are not
 * signed by jose, whose use of Web Crypto takes three times as long: half of a login's time.
 *
 * @param minutes their lifetime
 */
export function createTokenIssuer(
  keys: WatchedKeys,
  minutes: number,
  audience: string,
): TokenIssuer {
  return ({ id, role }, notBefore) => {
    const { kid, privateKey } = keys.current();
    const issuedAt = Math.max(secondsNow(), notBefore ?? 0);
    const signed = [
      { alg: ALGORITHM, typ: TYPE, kid },
      {
        role,
        iss: ISSUER,
        aud: audience,
        sub: id,
        iat: issuedAt,
        exp: issuedAt + minutes * 60,
        jti: crypto.randomUUID(),
      },
    ].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
    const signature = sign(null, Buffer.from(signed), privateKey);
    return `${signed}.${signature.toString("base64url")}`;
  };
}

/** About 0.5 kB each. */
const MAX_VERIFIED = 10_000;

/**
 * Checks tokens: signed by one of our keys with our algorithm, for one of these audiences, with all
 * claims, not expired, not from the future (RFC 8725). Revocations are checked elsewhere.
 */
export function createTokenVerifier(keys: WatchedKeys, minutes: number, audiences: string[]) {
  const options = {
    algorithms: [ALGORITHM],
    issuer: ISSUER,
    audience: audiences,
    typ: TYPE,
    requiredClaims: ["sub", "exp", "iat", "jti"],
    clockTolerance: CLOCK_TOLERANCE_S,
    // This also makes jose refuse an `iat` in the future.
    maxTokenAge: minutes * 60,
  };
  // Verifying an Ed25519 signature costs this process more than the rest of a request
  // (docs/performance.md), and clients reuse their tokens.
  const verified = new LRUCache<string, Claims>({ max: MAX_VERIFIED });
  let seen: SigningKeys | undefined;
  let findKey = createLocalJWKSet({ keys: [] });
  const useKeysOfNow = () => {
    const now = keys.current();
    if (now === seen) return;
    seen = now;
    findKey = createLocalJWKSet({ keys: [...now.published.keys] });
    // Tokens of a removed key are no longer valid.
    verified.clear();
  };
  const verify = async (token: string): Promise<Claims | TokenFault> => {
    const { payload } = await jwtVerify(token, findKey, options);
    return ClaimsOfToken.safeParse(payload).data ?? "claims";
  };
  return async (token: string): Promise<Claims | TokenFault> => {
    useKeysOfNow();
    const known = verified.get(token);
    if (known !== undefined && known.exp > secondsNow()) return known;
    const keysBefore = seen;
    try {
      const found = await verify(token);
      if (typeof found !== "string" && seen === keysBefore) verified.set(token, found);
      return found;
    } catch (thrown) {
      const fault = faultOf(thrown);
      if (fault !== "unknown_key") return fault;
    }
    // Another process may already sign with a new key.
    await keys.refresh();
    useKeysOfNow();
    return seen === keysBefore ? "unknown_key" : await verify(token).catch(faultOf);
  };
}

/** The fault for an error of jose. @throws any other error */
function faultOf(thrown: unknown): TokenFault {
  if (!(thrown instanceof errors.JOSEError)) throw thrown;
  if (thrown instanceof errors.JWKSNoMatchingKey) return "unknown_key";
  if (thrown instanceof errors.JOSEAlgNotAllowed) return "algorithm";
  if (thrown instanceof errors.JWSSignatureVerificationFailed) return "signature";
  if (thrown instanceof errors.JWTExpired) return "expired";
  if (!(thrown instanceof errors.JWTClaimValidationFailed)) return "malformed";
  if (thrown.claim === "typ") return "type";
  if (thrown.reason === "check_failed") return FAULT_OF_CLAIM[thrown.claim] ?? "claims";
  return "claims";
}

/** By the claim with a wrong value. */
const FAULT_OF_CLAIM: Readonly<Record<string, TokenFault>> = {
  iss: "issuer",
  aud: "audience",
  iat: "not_yet_valid",
  nbf: "not_yet_valid",
};

function secondsNow(): number {
  return Math.floor(Date.now() / 1000);
}
