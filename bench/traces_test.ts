import { deepStrictEqual, match, ok } from "node:assert/strict";
import { connect } from "../db/connect.ts";
import { freshDatabase } from "../testing/database.ts";
import { fillBigPlant } from "./big_plant.ts";
import { closeWays, TRACE_WAYS } from "./trace_ways.ts";
import { traceTable } from "./traces.ts";

Deno.test("all ways to trace find the same, and a campaign's first lot leads to all of it", async () => {
  await using database = await freshDatabase();
  const sql = connect({ url: database.url, max: 1 });
  const plant = await fillBigPlant(sql, 800, [10, 400]);
  deepStrictEqual([plant.lots, plant.links], [800, 40 * (2 * 9 + 4) + 2 * 399 + 199]);
  for (const [size, [, code = "C400-0-0"]] of plant.firstLots) {
    const found = [];
    for (const way of TRACE_WAYS.filter(({ sample }) => sample === undefined)) {
      found.push(await (await way.prepare(sql, database.url, code))());
    }
    const links = size === 10 ? 22 : 997;
    deepStrictEqual(found, Array(found.length).fill({ lots: size, links }));
  }
  const [slow] = TRACE_WAYS.filter(({ sample }) => sample !== undefined);
  const sampled = await (await slow?.prepare(sql, database.url, "C400-0-0"))?.();
  deepStrictEqual(sampled?.lots, slow?.sample);
  await closeWays();
  const [row] = await sql`select count(*)::int as count from lotline.outbox`;
  ok(row?.count === 0);
  await sql.end();
});

Deno.test("the table of traces compares with the statement of the same round", () => {
  const run = (way: string, round: number, ms: number) => ({
    size: 10,
    way,
    round,
    ms,
    peakMb: 50,
  });
  const table = traceTable([
    run("statement", 1, 10),
    run("job", 1, 15),
    run("statement", 2, 20),
    run("job", 2, 20),
  ]);
  const [statement, job, ...rest] = table.split("\n").slice(2);
  match(statement ?? "", /^\| 10 lots: one recursive .* \| 15\.0 \| 50 \|$/);
  match(job ?? "", /^\| 10 lots: Lotline's .* \| 17\.5 · \*\*1\.25×\*\* \(1\.00–1\.50\) \| 50 \|$/);
  deepStrictEqual(rest, []);
});
