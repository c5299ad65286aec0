import type { Account } from "../db/accounts.ts";

const HEAD = ["email", "id", "role", "password", "state", "last login", "name"];

/** Accounts in columns, for a terminal. */
export function accountTable(accounts: readonly Account[]): string {
  const rows = accounts.map((account) =>
    [
      account.email,
      account.id,
      account.role ?? "none",
      account.encryptedPassword ? "yes" : "no",
      account.disabled ? "disabled" : "active",
      account.lastLogin ?? "never",
      account.fullName ?? "",
    ].map(printable)
  );
  const widths = HEAD.map((_, at) =>
    Math.max(...[HEAD, ...rows].map((row) => row[at]?.length ?? 0))
  );
  return [HEAD, ...rows].map((row) =>
    row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("  ").trimEnd()
  ).join("\n");
}

/** A text without what would steer the terminal: others wrote it into the database. */
export function printable(text: string): string {
  return text.replaceAll(/\p{C}/gu, "?");
}
