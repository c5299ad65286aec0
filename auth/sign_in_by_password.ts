import { findLogin, type Login, recordLogin, replacePasswordHash } from "../db/users.ts";
import type { Sql } from "../db/sql.ts";
import { ApiError } from "../errors.ts";
import { describeError, type Log } from "../log.ts";
import { type HashSlot, isOutdated, type Passwords } from "./passwords.ts";
import type { LoginEffects, SignedIn, SignIn } from "./sign_in.ts";
import { isTooLong } from "./typed_password.ts";

/**
 * `AUTH_MODE=required`: an account signs in with its password, and the time is stored. Anything
 * else is refused with one sentence and after the same work, whether the account exists or not.
 */
export function createSignInByPassword(sql: Sql, passwords: Passwords, log: Log): SignIn {
  const check = async (
    slot: HashSlot,
    email: string,
    password: string,
    { write, issueToken, rehashes, noteLongPassword, onOutcome }: LoginEffects,
  ): Promise<SignedIn | undefined> => {
    const login = await findLogin(sql, email);
    // A disabled account's password is not checked: nothing may reveal whether it was right.
    const hash = login?.disabled ? undefined : login?.encryptedPassword;
    const form = await slot.check(hash);
    if (login === undefined || form === undefined) {
      const isLong = isTooLong(password);
      if (isLong && login !== undefined) noteLongPassword(login.user.id);
      onOutcome(login?.disabled ? "disabled" : isLong ? "too_long" : "wrong", login?.user.id);
      return undefined;
    }
    const user = await recordLogin(write, login);
    if (user === undefined) {
      onOutcome("changed", login.user.id);
      return undefined;
    }
    if (rehashes && isOutdated(login.encryptedPassword)) await rehash(slot, login, form);
    onOutcome("accepted", user.id);
    return { user, token: issueToken(user, login.tokensFrom) };
  };

  // Hashes the form that matched, so that other systems with this table accept the same bytes as
  // before.
  const rehash = async (slot: HashSlot, { user, encryptedPassword }: Login, form: string) => {
    try {
      const hash = await slot.hash(form);
      await replacePasswordHash(sql, user.id, encryptedPassword, hash);
    } catch (error) {
      // The old hash stays valid: the login must not fail with its replacement.
      log("warn", "password_rehash_failed", { error: describeError(error) });
    }
  };

  const acquireSlot = (password: string, { onOutcome }: LoginEffects): HashSlot => {
    try {
      return passwords.acquireSlot(password);
    } catch (error) {
      onOutcome("queue_full");
      throw error;
    }
  };

  return async ({ email, password }, address, effects) => {
    if (email === undefined || password === undefined) throw wrongCredentials();
    using slot = acquireSlot(password, effects);
    const turn = await effects.consumeThrottle(email, address);
    if (!turn.allowed) {
      effects.onOutcome(turn.by === "account" ? "throttled_account" : "throttled_address");
      throw new ApiError("too_many_tries", "Too many failed logins, try again later", {
        headers: { "retry-after": String(turn.retryAfterS) },
      });
    }
    let signedIn: SignedIn | undefined;
    try {
      signedIn = await check(slot, email, password, effects);
    } catch (error) {
      // The password was not judged: our fault is no failed try.
      await turn.cancel();
      throw error;
    }
    if (signedIn === undefined) {
      await turn.fail();
      throw wrongCredentials();
    }
    await turn.succeed();
    return signedIn;
  };
}

function wrongCredentials(): ApiError {
  return new ApiError("wrong_credentials", "Wrong email or password");
}
