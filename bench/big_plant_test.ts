import { deepStrictEqual } from "node:assert/strict";
import { connect } from "../db/connect.ts";
import { freshDatabase } from "../testing/database.ts";
import { fillBigPlant } from "./big_plant.ts";

Deno.test("a campaign's first lot leads to all of its lots, and the outbox stays empty", async () => {
  await using database = await freshDatabase();
  const sql = connect({ url: database.url, max: 1 });
  const { lots, links, firstLots } = await fillBigPlant(sql, 800, 400);
  deepStrictEqual([lots, links, firstLots], [800, 2 * (2 * 399 + 199), ["C400-0-0", "C400-1-0"]]);
  const [reached] = await sql`
    with recursive reached as (
      select id from lots where lot_code = 'C400-1-0'
      union
      select child_lot_id from reached join lot_genealogy on parent_lot_id = reached.id
    )
    select count(*)::int, (select count(*)::int from lotline.outbox) as noted from reached`;
  deepStrictEqual({ ...reached }, { count: 400, noted: 0 });
  await sql.end();
});
