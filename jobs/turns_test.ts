import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { connectValkey } from "../cache/valkey.ts";
import type { Sql } from "../db/sql.ts";
import { claimJobInTurn, claimNextJob } from "../db/job_attempts.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { createJobQueue } from "./queue.ts";

/* The account of the next job. */

const KIND = "deep_trace";
const claimant = { worker: "tester", leaseMs: 60_000 };

/** Queues this many jobs for an account. */
async function send(sql: Sql, account: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await sql`
      insert into lotline.jobs (kind, priority, account, turn)
      values (${KIND}, 0, ${account}, lotline.next_turn(${KIND}, ${account}))`;
  }
}

/** The accounts of these jobs, in their order. */
async function accountsOf(sql: Sql, ids: readonly string[]): Promise<string> {
  const rows = await sql<{ id: string; account: string }[]>`
    select id, account from lotline.jobs where id in ${sql(ids)}`;
  return ids.map((id) => rows.find((row) => row.id === id)?.account ?? "?").join("");
}

Deno.test("without Valkey accounts take turns, and a later one waits for one job of each", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const ids: string[] = [];
  const claim = async (count: number) => {
    for (let i = 0; i < count; i++) ids.push((await claimNextJob(sql, [KIND], claimant))?.id ?? "");
  };
  await send(sql, "a", 500);
  await claim(3);
  await send(sql, "b", 2);
  await send(sql, "c", 1);
  await claim(6);
  await send(sql, "b", 3);
  await claim(4);
  strictEqual(await accountsOf(sql, ids), "aaa" + "abcaba" + "abab");
});

Deno.test("with Valkey accounts take turns in any order of ids on the list, and no job is left behind", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await using own = await ownValkey();
  const valkey = connectValkey(own.server.url, () => {});
  await eventually("Valkey responds", () => valkey.isUsable());
  const queue = createJobQueue(sql, valkey, [KIND]);
  const ids: string[] = [];
  const take = async () => {
    const popped = await queue.pop([KIND]);
    if (popped === undefined) return false;
    const job = await claimJobInTurn(sql, popped, claimant);
    if (job !== undefined) ids.push(job.id);
    return true;
  };
  await send(sql, "a", 20);
  await queue.sweep();
  await take();
  await send(sql, "b", 3);
  // None of these is on the list yet.
  await take();
  await take();
  await queue.sweep();
  await take();
  await take();
  strictEqual(await accountsOf(sql, ids), "a" + "abab");
  await eventually("all are taken", async () => !(await queue.sweep() > 0 || await take()));
  valkey.close();
  strictEqual(new Set(ids).size, 23);
  const left = await sql`select from lotline.jobs where state = 'ready'`;
  deepStrictEqual([left.length, (await accountsOf(sql, ids)).length], [0, 23]);
});

Deno.test("the id of a missing job claims nothing, and one of another kind no job of this kind", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await send(sql, "a", 1);
  strictEqual(await claimJobInTurn(sql, crypto.randomUUID(), claimant), undefined);
  const [other] = await sql<{ id: string }[]>`
    insert into lotline.jobs (kind, priority, run_at)
    values ('other', 0, now() + interval '1 hour') returning id`;
  strictEqual(await claimJobInTurn(sql, other?.id ?? "", claimant), undefined);
});
