import type { Account } from "../db/accounts.ts";
import { findLookAlikes, spelledOut } from "./look_alikes.ts";
import { costOf } from "./password_work.ts";
import { MAX_PASSWORD_BYTES } from "./typed_password.ts";

/** A problem of an account in `AUTH_MODE=required`. */
export interface Finding {
  readonly id: string;
  readonly email: string;
  readonly what: string;
}

/**
 * Finds accounts that `AUTH_MODE=required` would lock out or confuse: no usable password, a
 * password that is too long, no role, disabled, or an email that equals or resembles another
 * account's.
 *
 * @param accounts sorted by email; of equal emails the account that logs in comes first
 */
export function auditAccounts(accounts: readonly Account[]): Finding[] {
  const lookAlikesOf = findLookAlikes(accounts.map(({ email }) => email));
  return accounts.flatMap((account, index) => {
    const { id, email } = account;
    const whats = problemsOf(account);
    if (accounts[index - 1]?.email === email) {
      whats.push("can't log in: an older account has this email");
    }
    const [alike, ...others] = lookAlikesOf(email);
    if (alike !== undefined) {
      const more = others.length === 0 ? "" : ` and ${others.length} more`;
      whats.push(`its email, ${spelledOut(email)}, looks like ${spelledOut(alike)}${more}`);
    }
    return whats.map((what) => ({ id, email, what }));
  });
}

/** A summary of the long passwords; undefined when there are none. */
export function summaryOf(accounts: readonly Account[]): string | undefined {
  const count = accounts.filter(({ longPassword }) => longPassword).length;
  if (count === 0) return undefined;
  return `${count} of ${accounts.length} accounts typed a password of over ${MAX_PASSWORD_BYTES} bytes ` +
    "in the last 90 days; a hash doesn't tell, so others may have one and not have logged in.";
}

function problemsOf(account: Account): string[] {
  const { encryptedPassword: hash, role, disabled, longPassword } = account;
  const problems: string[] = [];
  if (hash === null || hash === "") problems.push("no password");
  else if (costOf(hash) === undefined) {
    problems.push("a password that can't be checked (no bcrypt)");
  }
  if (longPassword) problems.push(`a password of over ${MAX_PASSWORD_BYTES} bytes: set a new one`);
  if (role === null) problems.push("no role");
  if (disabled) problems.push("disabled");
  return problems;
}
