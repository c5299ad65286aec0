import { LONGEST_TOKEN_MINUTES } from "../config.ts";
import type { Sql } from "./connect.ts";
import { type IdempotencyKey, keepingKey } from "./idempotency_keys.ts";
import { inTime } from "./in_time.ts";

/*
 * `lotline.accounts` and `lotline.revoked_tokens`: which tokens are refused though their signature
 * is good. Moments are in s since 1970, as in the tokens.
 */

/** What is revoked of an account. */
export interface AccountState {
  readonly userId: string;
  readonly disabled: boolean;
  /** Tokens issued before it are refused; null: none are. */
  readonly tokensFrom: number | null;
}

/**
 * `tokens_from` of an `account` in a statement, as those seconds. `float8` comes as a number;
 * `extract` alone gives a numeric, which comes as text.
 */
export const TOKENS_FROM = "extract(epoch from account.tokens_from)::float8";

interface RevocationRow {
  readonly user_id: string;
  readonly disabled: boolean;
  readonly tokens_from: number | null;
  readonly token_id: string | null;
}

// A token outlives its last second by what clocks may be apart; a row that nobody can need any more
// isn't read.
const LIST_REVOCATIONS = `
  select user_id, disabled_at is not null as disabled, ${TOKENS_FROM} as tokens_from,
    null::uuid as token_id
  from lotline.accounts account
  where disabled_at is not null
    or tokens_from > now() - interval '${LONGEST_TOKEN_MINUTES + 1} minutes'
  union all
  select user_id, false, null, token_id
  from lotline.revoked_tokens
  where expires_at > now() - interval '1 minute'`;

/** All that is revoked at one moment: accounts with something to refuse, and ids of tokens. */
export async function listRevocations(
  sql: Sql,
): Promise<{ accounts: AccountState[]; tokens: string[] }> {
  const rows = await inTime(
    sql,
    sql.unsafe<RevocationRow[]>(LIST_REVOCATIONS, [], { prepare: true }),
  );
  const accounts: AccountState[] = [];
  const tokens: string[] = [];
  for (const { user_id: userId, disabled, tokens_from: tokensFrom, token_id } of rows) {
    if (token_id === null) accounts.push({ userId, disabled, tokensFrom });
    else tokens.push(token_id);
  }
  return { accounts, tokens };
}

/**
 * Stores that a token is refused from now on, and drops those that refuse themselves by now.
 * @param key is kept with it
 */
export async function revokeToken(
  sql: Sql,
  { tokenId, userId, expiresAt }: {
    readonly tokenId: string;
    readonly userId: string;
    readonly expiresAt: number;
  },
  key?: IdempotencyKey,
): Promise<void> {
  await inTime(
    sql,
    sql`
      with expired as (
        delete from lotline.revoked_tokens where expires_at < now() - interval '5 minutes'
      )${keepingKey(sql, key, sql`${tokenId}`)}
      insert into lotline.revoked_tokens (token_id, user_id, expires_at)
      values (${tokenId}, ${userId}, to_timestamp(${expiresAt}::float8))
      on conflict do nothing`,
  );
}
