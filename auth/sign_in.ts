import type { User } from "../db/users.ts";
import type { Write } from "../db/write.ts";
import type { LoginOutcome } from "../metrics.ts";
import type { LoginThrottle } from "./throttle.ts";
import type { TokenIssuer } from "./tokens.ts";

/** The well-formed fields of a login; others are missing. */
export interface Credentials {
  readonly email?: string | undefined;
  readonly password?: string | undefined;
}

export interface SignedIn {
  readonly user: User;
  readonly token: string;
}

export interface LoginEffects {
  readonly consumeThrottle: LoginThrottle["consume"];
  readonly write: Write;
  readonly issueToken: TokenIssuer;
  /** Whether hashes of a lower cost are replaced. */
  readonly rehashes: boolean;
  /** Records that an account's password has more bytes than can be checked. */
  noteLongPassword(userId: string): void;
  onOutcome(outcome: LoginOutcome, userId?: string, requestId?: string): void;
}

/**
 * Signs an account in.
 *
 * @param address the client's
 * @throws {ApiError} 401 for wrong credentials, 429 for too many tries
 */
export type SignIn = (
  credentials: Credentials,
  address: string,
  effects: LoginEffects,
) => Promise<SignedIn>;
