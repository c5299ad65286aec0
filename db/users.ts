import type { components } from "../contract/types.gen.ts";
import type { Sql } from "./sql.ts";
import { runPrepared, timed } from "./query_deadline.ts";
import { TOKENS_FROM } from "./revocations.ts";
import { textArray } from "./text_array.ts";
import type { Write } from "./write.ts";

/** A row of `users` as responses show it. */
export type User = components["schemas"]["User"];

/** The columns of `users` with their types, in the order in which responses show them. */
export const USER_COLUMNS = {
  id: "uuid",
  email: "text",
  full_name: "text",
  role: "text",
  created_at: "timestamptz",
  last_login: "timestamptz",
} as const;

const FIND_USERS = `
  select distinct on (email) ${Object.keys(USER_COLUMNS)} from users
  where email = any($1::text::text[]) order by email, created_at, id`;

/** The accounts with exactly these emails (case matters), by email; of several, the oldest. */
export async function findUsersByEmail(
  sql: Sql,
  emails: readonly string[],
  deadlineMs?: number,
): Promise<ReadonlyMap<string, User>> {
  const users = await runPrepared<User>(sql, FIND_USERS, [textArray(emails)], deadlineMs);
  return new Map(users.map((user) => [user.email, user]));
}

/** An account with what decides whether a login to it succeeds. */
export interface Login {
  readonly user: User;
  /** The bcrypt hash, unchecked. */
  readonly encryptedPassword: string | null;
  readonly disabled: boolean;
  /** Tokens that were issued before are refused, in s since 1970; null: none are. */
  readonly tokensFrom: number | null;
}

const FIND_LOGIN = `
  select ${Object.keys(USER_COLUMNS).map((column) => `users.${column}`)},
    secret.encrypted_password as "encryptedPassword",
    account.disabled_at is not null as disabled,
    ${TOKENS_FROM} as "tokensFrom"
  from users
  join auth.users secret on secret.id = users.id
  left join lotline.accounts account on account.user_id = users.id
  where users.email = $1
  order by users.created_at, users.id limit 1`;

/** The account with exactly this email (case matters); of several, the oldest. */
export async function findLogin(sql: Sql, email: string): Promise<Login | undefined> {
  const [row] = await runPrepared<User & Omit<Login, "user">>(sql, FIND_LOGIN, [email]);
  if (row === undefined) return undefined;
  const { encryptedPassword, disabled, tokensFrom, ...user } = row;
  return { user, encryptedPassword, disabled, tokensFrom };
}

const RECORD_LOGIN = `
  update users set last_login = now()
  where id = $1 and not exists (
    select from lotline.accounts account
    where user_id = $1
      and (disabled_at is not null or ${TOKENS_FROM} is distinct from $2::float8)
  )
  returning ${Object.keys(USER_COLUMNS)}`;

/**
 * Stores the moment of a login and returns the account; nothing if it was disabled, or its tokens were
 * ended, since it was read: the password that was checked may be an old one.
 */
export async function recordLogin(
  write: Write,
  { user, tokensFrom }: Login,
): Promise<User | undefined> {
  const parameters = [user.id, tokensFrom];
  const [recorded] = await write<User>({ text: RECORD_LOGIN, parameters });
  return recorded;
}

/** Replaces the hash that a password was checked with by a new one of the same password. */
export async function replacePasswordHash(
  sql: Sql,
  userId: string,
  before: string | null,
  hash: string,
): Promise<void> {
  await timed(sql)`update auth.users set encrypted_password = ${hash}
    where id = ${userId} and encrypted_password = ${before}`;
}
