import type { Sql } from "./sql.ts";
import { runPrepared, timed } from "./query_deadline.ts";
import { TOKENS_FROM } from "./revocations.ts";
import { oneRow } from "./one_row.ts";
import { textArray } from "./text_array.ts";

// The old server's `users` and `auth.users` with what `lotline.accounts` adds to them.

/** An account as `deno task user` shows it. */
export interface Account {
  readonly id: string;
  readonly email: string;
  readonly fullName: string | null;
  readonly role: string | null;
  /** The bcrypt hash of the password, unchecked. */
  readonly encryptedPassword: string | null;
  readonly disabled: boolean;
  /** Whether a password with more bytes than can be checked was typed in the last 90 days. */
  readonly longPassword: boolean;
  readonly lastLogin: string | null;
}

interface NewAccount extends Pick<Account, "id" | "email" | "fullName"> {
  readonly role: string;
  readonly encryptedPassword: string;
}

/** How long it is stored that an account's password was too long, in days. */
const KEEP_DAYS = 90;

const ACCOUNT = `
  select users.id, users.email, users.full_name as "fullName", users.role,
    secret.encrypted_password as "encryptedPassword",
    account.disabled_at is not null as disabled,
    long_password.user_id is not null as "longPassword",
    users.last_login as "lastLogin"
  from users
  left join auth.users secret on secret.id = users.id
  left join lotline.accounts account on account.user_id = users.id
  left join lotline.long_passwords long_password on long_password.user_id = users.id
    and long_password.typed_at > now() - interval '${KEEP_DAYS} days'`;

/** All accounts, by email; of several with one email, first the one that logs in. */
export async function listAccounts(sql: Sql): Promise<Account[]> {
  const order = "order by users.email, users.created_at, users.id";
  return await runPrepared<Account>(sql, `${ACCOUNT} ${order}`);
}

/** The accounts with this email or id: emails are not unique. */
export async function listAccountsNamed(sql: Sql, emailOrId: string): Promise<Account[]> {
  const named = "where users.email = $1 or users.id::text = lower($1)";
  return await runPrepared<Account>(sql, `${ACCOUNT} ${named}`, [emailOrId]);
}

/**
 * Stores an account and returns its id. When the email has a row in `auth.users` already (another
 * system made it), that row's id is used and its password is replaced.
 */
export async function insertAccount(sql: Sql, account: NewAccount): Promise<string> {
  const { id, email, fullName, role, encryptedPassword } = account;
  const rows = await timed(sql)<{ id: string }[]>`
    with secret as (
      insert into auth.users (id, email, encrypted_password)
      values (${id}, ${email}, ${encryptedPassword})
      on conflict (email) do update set encrypted_password = excluded.encrypted_password
      returning id
    )
    insert into users (id, email, full_name, role)
    select id, ${email}, ${fullName}, ${role} from secret
    returning id`;
  return oneRow(rows).id;
}

// A token of the same second may have been issued before or after the change, by a clock that is a
// little ahead. So the account's tokens begin a little later; a login in between waits until then.
const NEXT_TOKENS = "date_trunc('second', now()) + interval '2 seconds'";

/** When the account's next tokens begin, in s since 1970; all current ones end. */
export type TokensFrom = number;

/** Sets an account's password and ends its tokens, as the functions below do. */
export function setPasswordHash(sql: Sql, userId: string, hash: string): Promise<TokensFrom> {
  const update = `
    update auth.users set encrypted_password = $2 where id = $1 returning id
  ), forgotten as (
    delete from lotline.long_passwords where user_id = $1`;
  return changeAndEndTokens(sql, update, [userId, hash]);
}

/** Its tokens end since they name the old role. */
export function setRole(sql: Sql, userId: string, role: string): Promise<TokensFrom> {
  const update = "update users set role = $2 where id = $1 returning id";
  return changeAndEndTokens(sql, update, [userId, role]);
}

/** The tokens that it had before stay ended, also when it is enabled again. */
export function setDisabled(sql: Sql, userId: string, isDisabled: boolean): Promise<TokensFrom> {
  const disabledAt = isDisabled ? "now()" : "null";
  return changeAndEndTokens(sql, "select $1::uuid as id", [userId], disabledAt);
}

/** Ends the tokens of all accounts, and returns how many accounts there are. */
export async function endAllTokens(sql: Sql): Promise<number> {
  const text = `
    insert into lotline.accounts as account (user_id, tokens_from)
    select id, ${NEXT_TOKENS} from users
    union select user_id, ${NEXT_TOKENS} from lotline.accounts
    on conflict (user_id) do update
      set tokens_from = greatest(account.tokens_from, excluded.tokens_from)
    returning user_id`;
  return (await runPrepared<{ user_id: string }>(sql, text)).length;
}

/** When the tokens of these accounts begin, in s since 1970; those without a start are left out. */
export async function listTokenStarts(
  sql: Sql,
  ids: readonly string[],
): Promise<ReadonlyMap<string, TokensFrom>> {
  const text = `
    select user_id as id, ${TOKENS_FROM} as "from" from lotline.accounts account
    where user_id = any($1::text::uuid[]) and tokens_from is not null`;
  const rows = await runPrepared<{ id: string; from: number }>(sql, text, [textArray(ids)]);
  return new Map(rows.map(({ id, from }) => [id, from]));
}

/**
 * Changes an account and ends its tokens in one statement.
 *
 * @param change returns the id of the account that it changed; more CTEs may follow
 * @param disabledAt the new `disabled_at`; absent: it stays as it is
 */
async function changeAndEndTokens(
  sql: Sql,
  change: string,
  parameters: readonly string[],
  disabledAt?: "now()" | "null",
): Promise<TokensFrom> {
  const text = `
    with changed as (${change})
    insert into lotline.accounts as account (user_id, disabled_at, tokens_from)
    select id, ${disabledAt ?? "null"}, ${NEXT_TOKENS} from changed
    on conflict (user_id) do update
      set disabled_at = ${disabledAt ?? "account.disabled_at"}, tokens_from = excluded.tokens_from
    returning ${TOKENS_FROM} as tokens_from`;
  const [row] = await runPrepared<{ tokens_from: number }>(sql, text, parameters);
  if (row === undefined) throw new Error(`there is no account ${parameters[0]}`);
  return row.tokens_from;
}

/** Stores that a password with more bytes than can be checked was typed for an account. */
export async function recordLongPassword(sql: Sql, userId: string): Promise<void> {
  await timed(sql)`
    with forgotten as (
      delete from lotline.long_passwords
      where typed_at < now() - make_interval(days => ${KEEP_DAYS}) and user_id <> ${userId}
    )
    insert into lotline.long_passwords (user_id) values (${userId})
    on conflict (user_id) do update set typed_at = excluded.typed_at`;
}
