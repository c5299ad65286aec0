import type { Sql } from "./connect.ts";

/** Which way links are followed: towards the ingredients, or towards the products. */
export type Way = "upstream" | "downstream";

const listNext = (from: string, to: string) => `
  select array_agg(id)::text as ids from (
    select distinct ${to} as id from lot_genealogy
    where ${from} = any($1::uuid[]) and ${to} is not null order by 1 limit $2
  ) next`;

const LIST_NEXT: Record<Way, string> = {
  upstream: listNext("child_lot_id", "parent_lot_id"),
  downstream: listNext("parent_lot_id", "child_lot_id"),
};

/**
 * The ids of all lots one link further than some lots, each once, in the order of ids; only the
 * first `most` of them. They come as one text: a row for each would take several times as long.
 */
export async function listNextLots(
  sql: Sql,
  way: Way,
  lotIds: readonly string[],
  most: number,
): Promise<string[]> {
  const parameters = [`{${lotIds.join()}}`, most];
  const [row] = await sql.unsafe<{ ids: string | null }[]>(LIST_NEXT[way], parameters, {
    prepare: true,
  });
  return row === undefined || row.ids === null ? [] : row.ids.slice(1, -1).split(",");
}
