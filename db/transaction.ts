import type { Sql } from "./sql.ts";
import type { Session } from "./session.ts";

/**
 * Runs `work` in a transaction on a connection of its own, which is closed afterwards. What `work`
 * throws rolls the transaction back.
 */
export async function runTransaction<T>(
  open: (onEnd: () => void) => Session,
  work: (sql: Sql) => Promise<T>,
): Promise<T> {
  await using session = open(() => {});
  const { sql } = session;
  await sql`begin`;
  // Closing the connection without a commit rolls back.
  const result = await work(sql);
  await sql`commit`;
  return result;
}
