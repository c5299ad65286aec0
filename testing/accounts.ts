import type { Sql } from "../db/sql.ts";

/** An account to store; the default is a viewer without a password. */
interface NewAccount {
  readonly email?: string;
  readonly role?: string | null;
  readonly hash?: string | null;
}

/** Stores an account with a new id. */
export async function insertAccount(sql: Sql, account: NewAccount = {}) {
  const id = crypto.randomUUID();
  const { email = `${id}@plant.example`, role = "VIEWER", hash = null } = account;
  await sql`insert into auth.users (id, encrypted_password) values (${id}, ${hash})`;
  await sql`insert into users (id, email, role) values (${id}, ${email}, ${role})`;
  return { id, email };
}
