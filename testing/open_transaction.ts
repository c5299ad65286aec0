import type { Sql } from "../db/sql.ts";

const PATIENCE_MS = 60_000;

/** A transaction that stays open, with all its locks, until it is ended or disposed of. */
export interface OpenTransaction extends AsyncDisposable {
  /** Whether it still has all its locks: then anything done by now has not waited for them. */
  readonly isOpen: boolean;
  commit(): Promise<void>;
}

/** Starts a transaction and runs one statement in it. */
export async function openTransaction(sql: Sql, statement: string): Promise<OpenTransaction> {
  const [begun, notified] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const transaction = sql.begin(async (transaction) => {
    await transaction.unsafe(statement);
    begun.resolve();
    await notified.promise;
  });
  await Promise.race([begun.promise, transaction]);
  // A statement that wrongly waits for it fails its test after this time, instead of waiting
  // forever.
  let isOpen = true;
  const end = () => {
    isOpen = false;
    notified.resolve();
  };
  const patience = setTimeout(end, PATIENCE_MS);
  const commit = async () => {
    clearTimeout(patience);
    end();
    await transaction;
  };
  return {
    get isOpen() {
      return isOpen;
    },
    commit,
    [Symbol.asyncDispose]: commit,
  };
}
