import type { Sql } from "./sql.ts";
import { type IdempotencyKey, withSavedKey } from "./idempotency_keys.ts";
import { queryWithDeadline, timed } from "./query_deadline.ts";
import { textArray } from "./text_array.ts";

/*
 * Which tokens are refused though their signature is good: those in `lotline.revoked_tokens`, and
 * those of an account that `users`, `auth.users` or `lotline.accounts` say something else of by now.
 * Moments are in s since 1970, as in the tokens.
 */

/** What decides about the tokens of an account, as it is now. */
export interface AccountState {
  readonly userId: string;
  /** False: the account was deleted, or never was. */
  readonly exists: boolean;
  readonly role: string | null;
  readonly disabled: boolean;
  /** Tokens issued before it are refused; null: none are. */
  readonly tokensFrom: number | null;
  /** Another text whenever anything of this is another. */
  readonly version: string;
}

/**
 * `tokens_from` of an `account` in a statement, as those seconds. `float8` comes as a number;
 * `extract` alone gives a numeric, which comes as text.
 */
export const TOKENS_FROM = "extract(epoch from account.tokens_from)::float8";

/** What is to be looked up. */
export interface RevocationQuery {
  /** Accounts, each with the version that is known of it; empty: none is. */
  readonly accounts: readonly { readonly userId: string; readonly version: string }[];
  readonly tokens: readonly string[];
}

/** What was found at one moment. */
export interface FoundRevocations {
  /** Of the accounts, those of another version. */
  readonly accounts: readonly AccountState[];
  /** Of the tokens, those that were revoked. */
  readonly tokens: readonly string[];
}

interface RevocationRow {
  readonly user_id: string;
  readonly is_there: boolean;
  readonly role: string | null;
  readonly disabled: boolean;
  readonly tokens_from: number | null;
  readonly version: string;
  readonly token_id: string | null;
}

// By their keys, and with rows only for what is another: both are as much as was asked for, however
// many accounts there are, and usually there is nothing to send.
const FIND_REVOCATIONS = `
  select *, null::uuid as token_id
  from (
    select user_id, is_there, role, disabled, tokens_from,
      concat(is_there, ' ', role, ' ', disabled, ' ', tokens_from) as version, known_version
    from (
      select known.user_id, known.version as known_version,
        users.id is not null and secret.id is not null as is_there, users.role,
        account.disabled_at is not null as disabled, ${TOKENS_FROM} as tokens_from
      from unnest($1::text::uuid[], $2::text::text[]) known (user_id, version)
      left join users on users.id = known.user_id
      left join auth.users secret on secret.id = known.user_id
      left join lotline.accounts account on account.user_id = known.user_id
    ) state
  ) versioned
  where version <> known_version
  union all
  select null, null, null, null, null, null, null, token_id
  from lotline.revoked_tokens
  where token_id = any($3::text::uuid[])`;

/** What is revoked of some accounts and tokens. */
export async function findRevocations(
  sql: Sql,
  { accounts, tokens }: RevocationQuery,
  deadlineMs?: number,
): Promise<FoundRevocations> {
  const parameters = [
    `{${accounts.map(({ userId }) => userId)}}`,
    textArray(accounts.map(({ version }) => version)),
    `{${tokens}}`,
  ];
  const rows = await queryWithDeadline(
    sql,
    sql.unsafe<RevocationRow[]>(FIND_REVOCATIONS, parameters, { prepare: true }),
    deadlineMs,
  );
  return {
    accounts: rows.filter((row) => row.token_id === null).map((row) => ({
      userId: row.user_id,
      exists: row.is_there,
      role: row.role,
      disabled: row.disabled,
      tokensFrom: row.tokens_from,
      version: row.version,
    })),
    tokens: rows.flatMap(({ token_id }) => token_id ?? []),
  };
}

/** So many tokens of an account that were ended are kept until they refuse themselves. */
const MAX_REVOKED = 5_000;

/**
 * Stores that a token is refused from now on, and drops those that refuse themselves by now.
 * @param key is kept with it
 * @returns whether it is: an account may end only so many tokens before they end by themselves
 */
export async function revokeToken(
  sql: Sql,
  { tokenId, userId, expiresAt }: {
    readonly tokenId: string;
    readonly userId: string;
    readonly expiresAt: number;
  },
  key?: IdempotencyKey,
): Promise<boolean> {
  const [row] = await timed(sql)<{ isRevoked: boolean }[]>`
    with expired as (
      delete from lotline.revoked_tokens where expires_at < now() - interval '5 minutes'
    ), place as materialized (
      select from (
        select from lotline.revoked_tokens
        where user_id = ${userId} and expires_at > now() - interval '5 minutes'
          and token_id <> ${tokenId}
        limit ${MAX_REVOKED}
      ) others having count(*) < ${MAX_REVOKED}
    )${withSavedKey(sql, key, sql`${tokenId}::uuid from place`)}, stored as (
      insert into lotline.revoked_tokens (token_id, user_id, expires_at)
      select ${tokenId}::uuid, ${userId}::uuid, to_timestamp(${expiresAt}::float8) from place
      on conflict do nothing
    )
    select exists (select from place) as "isRevoked"`;
  return row?.isRevoked ?? false;
}
