import type { Sql } from "../db/sql.ts";
import { findBatched } from "../db/batched_query.ts";
import { findUsersByEmail } from "../db/users.ts";
import { ApiError } from "../errors.ts";
import type { SignIn } from "./sign_in.ts";
import { isTooLong } from "./typed_password.ts";

/** `AUTH_MODE=legacy`: a known email is signed in, and gets a real token. */
export function createSignInByEmail(sql: Sql): SignIn {
  const findUserByEmail = findBatched(sql, findUsersByEmail);
  return async ({ email, password }, _address, { issueToken, noteLongPassword }) => {
    const user = email === undefined ? undefined : await findUserByEmail(email);
    // The old front end shows this sentence.
    if (user === undefined) throw new ApiError("user_not_found", "User not found");
    if (password !== undefined && isTooLong(password)) noteLongPassword(user.id);
    return { user, token: issueToken(user) };
  };
}
