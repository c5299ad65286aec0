import type { Sql } from "../db/sql.ts";
import { findBatched } from "../db/find_batched.ts";
import { findUsersByEmail } from "../db/users.ts";
import { ApiError } from "../errors.ts";
import type { SignIn } from "./sign_in.ts";
import { isTooLong } from "./typed_password.ts";

/** `AUTH_MODE=legacy`: an email that is known is let in, with a real token to show for it. */
export function createSignInByEmail(sql: Sql): SignIn {
  const findUserByEmail = findBatched(sql, findUsersByEmail);
  return async ({ email, password }, _address, { issueToken, noteLongPassword }) => {
    const user = email === undefined ? undefined : await findUserByEmail(email);
    // The old server's sentence: its front end shows it.
    if (user === undefined) throw new ApiError("user_not_found", "User not found");
    if (password !== undefined && isTooLong(password)) noteLongPassword(user.id);
    return { user, token: issueToken(user) };
  };
}
