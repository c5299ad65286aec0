import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { Sql } from "../db/sql.ts";
import { openSession, type Session } from "../db/session.ts";
import { type Direction, findTraceById, insertTrace } from "../db/traces.ts";
import { freshDatabase } from "../testing/database.ts";
import { createInlineTracer } from "./inline.ts";

const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

/** A session that reports the length of each text that PostgreSQL sends. */
function measuredSession(onText: (length: number) => void, onEnd: () => void): Session {
  const session = openSession(database.url, { name: "lotline-test", onEnd });
  const unsafe = (...call: Parameters<Sql["unsafe"]>) => {
    const query = session.sql.unsafe(...call);
    query.then(
      (rows) =>
        rows.flatMap((row) => Object.values(row)).filter((value) => typeof value === "string")
          .forEach(({ length }) => onText(length)),
      () => {},
    );
    return query;
  };
  return {
    isUsable: true,
    sql: new Proxy(session.sql, {
      get: (target, name) => name === "unsafe" ? unsafe : Reflect.get(target, name),
    }),
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

/** Makes a trace as a request does; returns whether it is done, and the longest text received. */
async function take(lotCode: string, direction: Direction) {
  let max = 0;
  const requested = { id: crypto.randomUUID(), direction, maxDepth: null, atMost: 1_000_000 };
  const lotId = await insertTrace(sql, { ...requested, lotCode }, null) ?? "";
  const tracer = createInlineTracer(
    (onEnd) => measuredSession((length) => max = Math.max(max, length), onEnd),
    database.url,
  );
  const isDone = await tracer.take({ ...requested, lotId }, new AbortController().signal);
  tracer[Symbol.dispose]();
  const stored = await findTraceById(sql, requested.id);
  deepStrictEqual([stored?.run !== null, stored?.summary !== null], [isDone, isDone]);
  return { isDone, longest: max };
}

/** The lots CODE-0 to CODE-n and links between them, by their numbers. */
const insertGraph = (code: string, lots: number, links: string) =>
  sql.unsafe(`
    with stored as (
      insert into lots (id, lot_code)
      select md5('${code}' || n)::uuid, '${code}-' || n from generate_series(0, ${lots - 1}) n
    )
    insert into lot_genealogy (parent_lot_id, child_lot_id)
    select md5('${code}' || parent)::uuid, md5('${code}' || child)::uuid
    from (${links}) link (parent, child)`);

for (const direction of ["downstream", "upstream", "both"] as const) {
  Deno.test(`a request that traces ${direction} reads the ids of 5,001 lots at most, however many exist`, async () => {
    const [code, lots] = [`HOT-${direction}`, 20_000];
    const ends = direction === "upstream" ? "n, 0" : "0, n";
    await insertGraph(code, lots, `select ${ends} from generate_series(1, ${lots - 1}) n`);
    const { isDone, longest: max } = await take(`${code}-0`, direction);
    strictEqual(isDone, false);
    // PostgreSQL writes them as a list: 36 characters and a comma each.
    ok(max <= 5_002 * 37 + 1, `${max}`);
  });
}

Deno.test("a request leaves a tangle to a job if its cycles take more steps than it has time for", async () => {
  // A ring of 3,000 lots and two paths across it from each: a cycle is 9,000 steps, and there are
  // many.
  const lots = 3_000;
  await insertGraph(
    "TANGLE",
    lots,
    `select n, (n + 1) % ${lots} from generate_series(0, ${lots - 1}) n
     union all
     select n % ${lots}, (hashint4(n) & 2147483647) % ${lots}
     from generate_series(0, ${2 * lots - 1}) n`,
  );
  strictEqual((await take("TANGLE-0", "downstream")).isDone, false);
});
