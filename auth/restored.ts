import type { Valkey } from "../cache/valkey.ts";
import type { WalPositions } from "../cache/wal_position.ts";
import { endAllTokens, listAccounts, listTokenStarts, setDisabled } from "../db/accounts.ts";
import {
  noteRestore,
  readWalPosition,
  settleRestore,
  storeDatabase,
} from "../db/known_database.ts";
import type { Sql } from "../db/sql.ts";
import { listAnnounced } from "./revocation_stream.ts";

/** An account that was changed after the backup was made. */
interface ChangedAccount {
  readonly id: string;
  /** Undefined: the backup doesn't have it. */
  readonly email: string | undefined;
  /** Whether it was disabled, and is again now. Otherwise its password or role is the old one. */
  readonly isDisabled: boolean;
}

interface Settled {
  /** How many accounts have had their tokens ended. */
  readonly ended: number;
  /** Undefined: Valkey can't be read. */
  readonly changed: readonly ChangedAccount[] | undefined;
}

/**
 * Repairs what a restore makes wrong, and ends all tokens: those that were revoked since the backup
 * are no longer known. Safe to repeat.
 *
 * @param sql a session without timeouts
 */
export async function settleAfterRestore(
  sql: Sql,
  valkey: Valkey | undefined,
  walPositions: WalPositions | undefined,
): Promise<Settled> {
  await storeDatabase(sql);
  await noteRestore(sql, true);
  const changed = await disableAgain(sql, valkey);
  const ended = await endAllTokens(sql);
  await settleRestore(sql);
  const position = await readWalPosition(sql);
  if (position !== undefined) await walPositions?.set(position);
  return { ended, changed };
}

/**
 * Finds the changes of accounts that Valkey knows and this database doesn't, and disables those again
 * that were disabled last.
 */
async function disableAgain(
  sql: Sql,
  valkey: Valkey | undefined,
): Promise<readonly ChangedAccount[] | undefined> {
  const announced = await listAnnounced(valkey);
  if (announced === undefined) return undefined;
  const last = new Map<string, { readonly disabled: boolean; readonly tokensFrom: number }>();
  for (const one of announced) {
    if (one.kind === "account" && one.tokensFrom !== null) {
      last.set(one.userId, { disabled: one.disabled, tokensFrom: one.tokensFrom });
    }
  }
  const starts = await listTokenStarts(sql, [...last.keys()]);
  const accounts = new Map((await listAccounts(sql)).map((account) => [account.id, account]));
  const changed: ChangedAccount[] = [];
  for (const [id, { disabled: isDisabled, tokensFrom }] of last) {
    const account = accounts.get(id);
    // Each change ends the account's tokens, so it has a later start than all before it. What was
    // disabled last stays so whatever the start is: an earlier run has ended all tokens.
    const isKnown = isDisabled ? account?.disabled : (starts.get(id) ?? 0) >= tokensFrom;
    if (isKnown) continue;
    if (isDisabled) await setDisabled(sql, id, true);
    changed.push({ id, email: account?.email, isDisabled });
  }
  return changed;
}
