import type { Sql } from "../db/connect.ts";
import { findUserByEmail } from "../db/users.ts";
import { ApiError } from "../errors.ts";
import type { SignIn } from "./sign_in.ts";
import type { TokenIssuer } from "./tokens.ts";

interface Deps {
  readonly sql: Sql;
  readonly issueToken: TokenIssuer;
}

/** `AUTH_MODE=legacy`: an email that is known is let in, with a real token to show for it. */
export function createSignInByEmail({ sql, issueToken }: Deps): SignIn {
  return async ({ email }) => {
    const user = email === undefined ? undefined : await findUserByEmail(sql, email);
    // The old server's sentence: its front end shows it.
    if (user === undefined) throw new ApiError("user_not_found", "User not found");
    return { user, token: await issueToken(user) };
  };
}
