import { SignJWT } from "jose";
import { ALGORITHM } from "./key_file.ts";
import type { SigningKeys } from "./keys.ts";

/** Who a token is from and for: Lotline is both. */
export const ISSUER = "lotline";
export const AUDIENCE = "lotline";

const LIFETIME = "30 minutes";

/** The account that a token is for. */
export interface TokenSubject {
  readonly id: string;
  readonly role: string | null;
}

/** Makes a signed token for an account. */
export type TokenIssuer = (user: TokenSubject) => Promise<string>;

/**
 * Tokens signed with the first key: a JWT (RFC 7519) with `iss aud sub role iat exp jti`, valid
 * for 30 minutes. It holds no name and no email.
 */
export function createTokenIssuer(keys: SigningKeys): TokenIssuer {
  return ({ id, role }) =>
    new SignJWT({ role })
      .setProtectedHeader({ alg: ALGORITHM, typ: "JWT", kid: keys.kid })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setSubject(id)
      .setIssuedAt()
      .setExpirationTime(LIFETIME)
      .setJti(crypto.randomUUID())
      .sign(keys.privateKey);
}
