import type { User } from "../db/users.ts";

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

/**
 * Lets an account in, or doesn't.
 *
 * @param address the client's
 * @throws {ApiError} 401 for whatever isn't an account's credentials, 429 for too many tries
 */
export type SignIn = (credentials: Credentials, address: string) => Promise<SignedIn>;
