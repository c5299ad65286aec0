import unhomoglyph from "unhomoglyph";
import type { Account } from "../db/accounts.ts";
import { costOf } from "./password_work.ts";
import { MAX_PASSWORD_BYTES } from "./typed_password.ts";

/** A longer email is compared literally: stored emails have no length limit. */
const MAX_LENGTH = 1_000;

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

/**
 * Forms that look-alike emails share: without case, composition and invisible characters, and with
 * letters of other scripts mapped to those that they resemble (Unicode's confusables,
 * https://www.unicode.org/reports/tr39/). Two emails look alike when they share a form.
 */
function looksOf(email: string): readonly string[] {
  if (email.length > MAX_LENGTH) return [email];
  const seen = email.normalize("NFKC")
    .replaceAll(/[\p{Default_Ignorable_Code_Point}\p{White_Space}\p{Cc}]/gu, "");
  // A capital I resembles a small l, and is a small i.
  const looks = [seen, seen.toLowerCase()].map((text) =>
    unhomoglyph(text.normalize("NFD")).toLowerCase().normalize("NFC")
  );
  return [...new Set(looks)];
}

/** @returns the look-alikes of one of these emails, in their order */
function findLookAlikes(emails: readonly string[]): (email: string) => readonly string[] {
  const all = [...new Set(emails)].flatMap((email) =>
    looksOf(email).map((look) => ({ look, email }))
  );
  const byLook = Map.groupBy(all, ({ look }) => look);
  return (email) => {
    const alike = new Set(
      looksOf(email).flatMap((look) => byLook.get(look) ?? [])
        .map((one) => one.email),
    );
    alike.delete(email);
    return [...alike];
  };
}

/** An email in ASCII with escapes, so that look-alikes can be distinguished. */
function spelledOut(email: string): string {
  return [...email].map((character) =>
    /^[!-~]$/.test(character) ? character : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
  ).join("");
}
