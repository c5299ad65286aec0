import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import v8 from "node:v8";
import vm from "node:vm";
import { freshDatabase } from "../testing/database.ts";
import { connect } from "./connect.ts";
import type { Sql } from "./sql.ts";
import { openSession } from "./session.ts";

const database = await freshDatabase();
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

const { url } = database;
await database.sql`create table kept (number int, document jsonb, is_good boolean)`;

/** A thousand rows, then an error. */
const BREAKS = "select 1 / (1001 - n) as n from generate_series(1, 2000) n";

/** How a statement that fails among its rows is sent. */
const WAYS: Record<string, (sql: Sql) => Promise<unknown>> = {
  "a template": (sql) => sql`select 1 / (1001 - n) as n from generate_series(1, 2000) n`,
  "a template with parameters": (sql) =>
    sql`select 1 / (1001 - n) as n from generate_series(1, ${2000}::int) n`,
  "a text": (sql) => sql.unsafe(BREAKS),
  "a prepared text": (sql) => sql.unsafe(BREAKS, [], { prepare: true }),
  "the last of several in one text": (sql) => sql.unsafe(`select 1; select 2, 3; ${BREAKS}`),
  "one that is too slow": async (sql) => {
    await sql`set statement_timeout = 100`;
    await sql`select n, case when n > 1000 then pg_sleep(1) end from generate_series(1, 3000) n`;
  },
  "rows as lists": (sql) => sql.unsafe(BREAKS).values(),
};

for (const [way, breaks] of Object.entries(WAYS)) {
  Deno.test(`after an error among the rows of ${way}, the next statement gets only its own rows`, async () => {
    const sql = connect({ url, max: 1 });
    try {
      for (let round = 0; round < 2; round++) {
        await rejects(breaks(sql));
        deepStrictEqual([...await sql`select 5 as n`], [{ n: 5 }]);
        deepStrictEqual([...await sql`select ${6}::int as n`], [{ n: 6 }]);
      }
    } finally {
      await sql.end({ timeout: 1 });
    }
  });

  Deno.test(`after an error among the rows of ${way}, a session ends`, async () => {
    await using session = openSession(url, { name: "lotline-test" });
    const { sql } = session;
    await rejects(breaks(sql));
    await rejects(sql`select 5 as n`, { code: "CONNECTION_ENDED" });
    strictEqual(session.isUsable, false);
  });

  Deno.test(`statements sent right after ${way} that fails get their own rows`, async () => {
    await using session = openSession(url, { name: "lotline-test" });
    const { sql } = session;
    await sql`select 1`;
    const behind = [rejects(breaks(sql)), sql`select 5 as n`, sql`select 6 as n`] as const;
    await behind[0];
    for (const [index, statement] of behind.slice(1).entries()) {
      const [settled] = await Promise.allSettled([statement]);
      // It may have been too late to be sent; it must never get rows of another statement.
      if (settled?.status === "fulfilled") {
        deepStrictEqual([...settled.value as never], [{ n: index + 5 }]);
      } else strictEqual(settled?.reason.code.startsWith("CONNECTION_"), true);
    }
  });
}

Deno.test("a cursor and a function for each row are refused, and the next statement is not", async () => {
  const sql = connect({ url, max: 1 });
  try {
    const refused = { message: /not supported/ };
    await rejects(async () => {
      for await (const _ of sql`select 1`.cursor(300));
    }, refused);
    await rejects(sql`select 1`.cursor(300, () => {}) as unknown as Promise<unknown>, refused);
    await rejects(sql`select 1`.forEach(() => {}), refused);
    deepStrictEqual([...await sql`select 5 as n`], [{ n: 5 }]);
  } finally {
    await sql.end({ timeout: 1 });
  }
});

Deno.test("a statement that is prepared again after the server dropped it stores the same as before", async () => {
  const sql = connect({ url, max: 1 });
  try {
    const store = (number: number) =>
      sql`insert into kept values (${number}, ${
        sql.json({ name: "RAW-1", of: [number] })
      }, ${true})`;
    await store(1);
    await sql`deallocate all`;
    await store(2);
    deepStrictEqual(
      [...await sql`select * from kept order by number`],
      [1, 2].map((number) => (
        { number, document: { name: "RAW-1", of: [number] }, is_good: true }
      )),
    );
  } finally {
    await sql.end({ timeout: 1 });
  }
});

Deno.test("a statement that can't be built ends its session: a running one may get its error", async () => {
  await using session = openSession(url, { name: "lotline-test" });
  const { sql } = session;
  await sql`select 1`;
  const fates = await Promise.allSettled([
    sql`select pg_sleep(0.05), 1 as n`,
    sql`select ${undefined as never}`,
    sql`select 3 as n`,
  ]);
  deepStrictEqual(fates.map(({ status }) => status), ["rejected", "rejected", "rejected"]);
  strictEqual(session.isUsable, false);
});

Deno.test("a transaction that fails leaves nothing, and the next statement is outside of it", async () => {
  const sql = connect({ url, max: 1 });
  try {
    await rejects(
      sql.begin(async (transaction) => {
        await transaction`insert into kept values (3)`;
        await transaction.unsafe(BREAKS);
      }),
      { code: "22012" },
    );
    const [row] = await sql`
      select pg_current_xact_id_if_assigned() is null as is_alone, (select count(*)::int from kept where number = 3)`;
    deepStrictEqual(row, { is_alone: true, count: 0 });
  } finally {
    await sql.end({ timeout: 1 });
  }
});

Deno.test("a failed statement is forgotten, though postgres.js would keep each in a map", async () => {
  v8.setFlagsFromString("--expose-gc");
  const collectGarbage: () => void = vm.runInNewContext("gc");
  const sql = connect({ url, max: 1 });
  try {
    const texts: WeakRef<object>[] = [];
    for (let round = 0; round < 20; round++) {
      const statement = sql.unsafe("select 1 / $1::int", [0], { prepare: true });
      texts.push(new WeakRef((statement as unknown as { strings: object }).strings));
      await rejects(statement, { code: "22012" });
    }
    await sql`select 1`;
    collectGarbage();
    const kept = texts.filter((text) => text.deref() !== undefined).length;
    strictEqual(kept < 10, true, `${kept} of 20 are still in memory`);
  } finally {
    await sql.end({ timeout: 1 });
  }
});
