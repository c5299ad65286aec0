import type { Sql } from "./sql.ts";

/** The direction in which links are followed: to the ingredients, or to the products. */
export type Direction = "upstream" | "downstream";

/** A text for each direction, made of the columns that a link leads from and to. */
const byDirection = (textOf: (from: string, to: string) => string): Record<Direction, string> => ({
  upstream: textOf("child_lot_id", "parent_lot_id"),
  downstream: textOf("parent_lot_id", "child_lot_id"),
});

// A join, since a generic plan of "= any" without an index compares with one id after the other.
const LIST_NEXT = byDirection((from, to) => `
  select array_agg(id)::text as ids from (
    select distinct link.${to} as id from unnest($1::uuid[]) lot (id)
    join lot_genealogy link on link.${from} = lot.id where link.${to} is not null order by 1 limit $2
  ) next`);

/**
 * The ids of the lots one link further than some lots, the first `max` in the order of ids. They come
 * as one text: a row for each would take several times as long.
 */
export async function listNextLots(
  sql: Sql,
  direction: Direction,
  lotIds: readonly string[],
  max: number,
): Promise<string[]> {
  const parameters = [`{${lotIds.join()}}`, max];
  const [row] = await sql.unsafe<{ ids: string | null }[]>(LIST_NEXT[direction], parameters, {
    prepare: true,
  });
  return row === undefined || row.ids === null ? [] : row.ids.slice(1, -1).split(",");
}

// "offset 0": each step uses the index. A plan for many steps at once would read the whole table for
// each level.
const LIST_LEVELS = byDirection((from, to) => `
  with recursive step (id, depth) as (
    select unnest($1::uuid[]), 0
    union
    select next.id, depth + 1 from step cross join lateral (
      select ${to} as id from lot_genealogy where ${from} = step.id and ${to} is not null offset 0
    ) next where depth < $2
  )
  select array_agg(id order by id)::text as ids, sum(count(*)) over ()::int = $3 as "isCut"
  from (select * from step limit $3) found group by depth order by depth`);

/**
 * The ids of the lots one link further than some lots, two links further, and so on: `levels` such
 * lists, fewer if they have more than `max` ids together. A lot may be in several of them.
 */
export async function listNextLevels(
  sql: Sql,
  direction: Direction,
  lotIds: readonly string[],
  { levels, max }: { levels: number; max: number },
): Promise<string[][]> {
  const parameters = [`{${lotIds.join()}}`, levels, max];
  const query = LIST_LEVELS[direction];
  const rows = await sql.unsafe<{ ids: string; isCut: boolean }[]>(query, parameters, {
    prepare: true,
  });
  const found = rows.slice(1).map(({ ids }) => ids.slice(1, -1).split(","));
  // The steps come depth by depth, so only the last one lacks some.
  if (rows[0]?.isCut) return found.slice(0, -1);
  while (found.length < levels) found.push([]);
  return found;
}
