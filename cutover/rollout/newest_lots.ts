import type { Sql } from "../../db/sql.ts";
import { queryWithDeadline } from "../../db/query_deadline.ts";

/** Codes of the newest lots, for requests that are to find something. */
export async function listNewestLotCodes(sql: Sql, limit: number): Promise<string[]> {
  const rows = await queryWithDeadline(
    sql,
    sql<{ lot_code: string }[]>`
      select lot_code from lots order by created_at desc nulls last limit ${limit}`,
  );
  return rows.map(({ lot_code }) => lot_code);
}
