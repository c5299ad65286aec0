import type { Sql } from "./sql.ts";
import { runPrepared, timed } from "./query_deadline.ts";
import { TOKENS_FROM } from "./revocations.ts";
import { type User, USER_COLUMNS } from "./users.ts";
import type { Write } from "./write.ts";

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
