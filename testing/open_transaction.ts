import type { Sql } from "../db/connect.ts";

const PATIENCE_MS = 8_000;

/** A transaction that stays open, with all its locks, until it is told or disposed of. */
export interface OpenTransaction extends AsyncDisposable {
  commit(): Promise<void>;
}

/** Begins a transaction and runs one statement in it. */
export async function openTransaction(sql: Sql, statement: string): Promise<OpenTransaction> {
  const [begun, told] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const transaction = sql.begin(async (transaction) => {
    await transaction.unsafe(statement);
    begun.resolve();
    await told.promise;
  });
  await Promise.race([begun.promise, transaction]);
  // What waits for it and should not then fails its test, instead of waiting forever.
  const patience = setTimeout(told.resolve, PATIENCE_MS);
  const commit = async () => {
    clearTimeout(patience);
    told.resolve();
    await transaction;
  };
  return { commit, [Symbol.asyncDispose]: commit };
}
