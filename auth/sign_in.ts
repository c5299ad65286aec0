import type { User } from "../db/users.ts";
import type { Write } from "../db/write.ts";
import type { LoginOutcome } from "../metrics.ts";
import type { LoginThrottle } from "./throttle.ts";
import type { TokenIssuer } from "./tokens.ts";

/** What a login was sent, of the right form; what isn't is left out. */
export interface Credentials {
  readonly email?: string | undefined;
  readonly password?: string | undefined;
}

/** Who has come in, with the token to show for it. */
export interface SignedIn {
  readonly user: User;
  readonly token: string;
}

/** What a login does besides looking. */
export interface LoginEffects {
  readonly consumeThrottle: LoginThrottle["consume"];
  readonly write: Write;
  readonly issueToken: TokenIssuer;
  /** Whether hashes of a lower cost are made anew. */
  readonly rehashes: boolean;
  /** Learns that an account's password was typed with more bytes than can be checked. */
  noteLongPassword(userId: string): void;
  onOutcome(outcome: LoginOutcome, userId?: string): void;
}

/**
 * Lets an account in, or doesn't.
 *
 * @param address the client's
 * @throws {ApiError} 401 for whatever isn't an account's credentials, 429 for too many tries
 */
export type SignIn = (
  credentials: Credentials,
  address: string,
  effects: LoginEffects,
) => Promise<SignedIn>;
