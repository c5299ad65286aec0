import type { Sql } from "./sql.ts";
import { type IdempotencyKey, withSavedKey } from "./idempotency_keys.ts";
import { runPrepared, timed } from "./query_deadline.ts";
import { textArray } from "./text_array.ts";

/*
 * Which tokens with a valid signature are refused: those in `lotline.revoked_tokens`, and those of an
 * account that has changed in `users`, `auth.users` or `lotline.accounts`. Moments are in s since 1970.
 */

/** The state of an account that decides about its tokens. */
export interface AccountState {
  readonly userId: string;
  /** False: the account was deleted or never existed. */
  readonly exists: boolean;
  readonly role: string | null;
  readonly disabled: boolean;
  /** Tokens issued before it are refused; null: none are. */
  readonly tokensFrom: number | null;
  /** Changes whenever anything of this changes. */
  readonly version: string;
}

/** `tokens_from` of an `account`; as `float8`, since a numeric would come as text. */
export const TOKENS_FROM = "extract(epoch from account.tokens_from)::float8";

export interface RevocationQuery {
  /** With the known version of each; empty: none is known. */
  readonly accounts: readonly { readonly userId: string; readonly version: string }[];
  readonly tokens: readonly string[];
}

export interface FoundRevocations {
  /** Those of another version. */
  readonly accounts: readonly AccountState[];
  /** Those that were revoked. */
  readonly tokens: readonly string[];
}

// Lookups by key, whose cost doesn't grow with the number of accounts, and rows only for changes.
const FIND_REVOCATIONS = `
  select user_id as "userId", is_there as "exists", role, disabled, tokens_from as "tokensFrom",
    version, null::uuid as "tokenId"
  from (
    select *, concat(is_there, ' ', role, ' ', disabled, ' ', tokens_from) as version
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
  select null, null, null, null, null, null, token_id
  from lotline.revoked_tokens
  where token_id = any($3::text::uuid[])`;

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
  const rows = await runPrepared<AccountState & { readonly tokenId: string | null }>(
    sql,
    FIND_REVOCATIONS,
    parameters,
    deadlineMs,
  );
  return {
    accounts: rows.flatMap(({ tokenId, ...account }) => tokenId === null ? [account] : []),
    tokens: rows.flatMap(({ tokenId }) => tokenId ?? []),
  };
}

/** The most revoked tokens of an account that have not expired. */
const MAX_REVOKED = 5_000;

/**
 * Stores that a token is revoked, and deletes expired ones.
 * @param key is stored with it
 * @returns false when the account has {@link MAX_REVOKED} revoked tokens
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
