import type { Account } from "../db/accounts.ts";
import { columns } from "../terminal.ts";

export function accountTable(accounts: readonly Account[]): string {
  return columns(
    ["email", "id", "role", "password", "state", "last login", "name"],
    accounts.map((account) => [
      account.email,
      account.id,
      account.role ?? "none",
      account.encryptedPassword ? "yes" : "no",
      account.disabled ? "disabled" : "active",
      account.lastLogin ?? "never",
      account.fullName ?? "",
    ]),
  );
}
