import type { Account } from "../db/accounts.ts";
import { costOf } from "./password_work.ts";

/** Something about an account that matters before `AUTH_MODE=required`. */
export interface Finding {
  readonly id: string;
  readonly email: string;
  readonly what: string;
}

/**
 * What would keep accounts out in `AUTH_MODE=required`, or mix them up: no password or one that can't
 * be checked, no role, disabled, an email that another account has too.
 *
 * @param accounts those with the same email beside each other, the one that logs in first
 */
export function auditAccounts(accounts: readonly Account[]): Finding[] {
  return accounts.flatMap((account, index) => {
    const { id, email } = account;
    const whats = problemsOf(account);
    if (accounts[index - 1]?.email === email) {
      whats.push("can't log in: an older account has this email");
    }
    return whats.map((what) => ({ id, email, what }));
  });
}

function problemsOf({ encryptedPassword: hash, role, disabled }: Account): string[] {
  const problems: string[] = [];
  if (hash === null || hash === "") problems.push("no password");
  else if (costOf(hash) === undefined) {
    problems.push("a password that can't be checked (no bcrypt)");
  }
  if (role === null) problems.push("no role");
  if (disabled) problems.push("disabled");
  return problems;
}
