import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { createClient } from "redis";
import { connectValkey } from "../cache/valkey.ts";
import { insertJob } from "../testing/insert_job.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { createJobQueue } from "./queue.ts";

/** A queue with one kind, and access to its lists. Disposing ends all. */
async function ownQueue(kinds = ["a", "b"]) {
  await using stack = new AsyncDisposableStack();
  const { sql } = stack.use(await freshDatabase());
  const own = stack.use(await ownValkey());
  const valkey = stack.adopt(connectValkey(own.server.url, () => {}), (valkey) => valkey.close());
  const client = stack.adopt(
    await createClient({ url: own.server.url }).connect(),
    (client) => client.destroy(),
  );
  await eventually("Valkey responds", () => valkey.isUsable());
  const another = () => createJobQueue(sql, valkey, kinds);
  const open = stack.move();
  const send = (kind = "a", priority: 0 | 1 = 1) => insertJob(sql, { kind, args: {}, priority });
  return {
    sql,
    client,
    queue: another(),
    another,
    ask: send,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

Deno.test("an id is on the list of its kind and priority once, also when it is put there again", async () => {
  await using own = await ownQueue();
  const { sql, client, queue, ask: send } = own;
  const ids = [await send(), await send(), await send("b", 0)];
  strictEqual(await queue.sweep(), 3);
  strictEqual(await queue.sweep(), 0);
  await sql`update lotline.jobs set pushed_at = null`;
  strictEqual(await queue.sweep(), 3);
  deepStrictEqual(await client.lRange("{lotline:jobs}:ready:1:a", 0, -1), ids.slice(0, 2));
  deepStrictEqual(await client.lRange("{lotline:jobs}:ready:0:b", 0, -1), ids.slice(2));
  const keys = await client.keys("{lotline:jobs}*");
  ok(keys.every((key) => key.startsWith("{lotline:jobs}:")), keys.join());
});

Deno.test("ids come off the requested lists, urgent ones first, and the kinds take turns", async () => {
  await using own = await ownQueue();
  const { queue, ask: send } = own;
  const a = [await send("a"), await send("a"), await send("a")];
  const b = [await send("b"), await send("b"), await send("b", 0)];
  await queue.sweep();
  strictEqual(await queue.pop(["a", "b"]), b[2]);
  strictEqual(await queue.pop(["a"]), a[0]);
  const four = [];
  for (let i = 0; i < 4; i++) four.push(await queue.pop(["a", "b"]));
  deepStrictEqual(new Set(four.slice(0, 2)), new Set([a[1], b[0]]));
  deepStrictEqual(new Set(four.slice(2)), new Set([a[2], b[1]]));
  strictEqual(await queue.pop(["a", "b"]), undefined);
});

Deno.test("an id that a lost worker took off a list returns after 10 s", async () => {
  await using own = await ownQueue();
  const { sql, queue, another, ask: send } = own;
  const ids = [await send(), await send()];
  await queue.sweep();
  strictEqual(await queue.pop(["a"]), ids[0]);
  strictEqual(await another().sweep(), 0);
  await sql`update lotline.jobs set pushed_at = now() - interval '11 s'`;
  strictEqual(await another().sweep(), 2);
  deepStrictEqual(await own.client.lRange("{lotline:jobs}:ready:1:a", 0, -1), [ids[1], ids[0]]);
});

Deno.test("a list grows to a thousand ids; the others follow when there is room", async () => {
  await using own = await ownQueue(["a"]);
  const { sql, client, queue } = own;
  await sql`insert into lotline.jobs (kind) select 'a' from generate_series(1, 1300)`;
  for (let i = 0; i < 8; i++) await queue.sweep();
  strictEqual(await client.lLen("{lotline:jobs}:ready:1:a"), 1_000);
  await client.lTrim("{lotline:jobs}:ready:1:a", 100, -1);
  strictEqual(await queue.sweep(), 100);
});

Deno.test("a Valkey that refuses writes counts as down, until it accepts them again", async () => {
  await using own = await ownQueue();
  const { sql, client, queue, ask: send } = own;
  await client.configSet("maxmemory", "1");
  await send();
  strictEqual(await queue.sweep(), 0);
  strictEqual(await queue.pop(["a"]), "unavailable");
  strictEqual((await sql`select from lotline.jobs where pushed_at is null`).count, 1);
  await client.configSet("maxmemory", "0");
  await eventually("it takes something", async () => await queue.sweep() === 1);
  ok(await queue.pop(["a"]) !== "unavailable");
});

Deno.test("without Valkey there are no lists, and no job is marked as being on one", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const queue = createJobQueue(sql, undefined, ["a"]);
  await insertJob(sql, { kind: "a", args: {}, priority: 0 });
  strictEqual(await queue.sweep(), 0);
  strictEqual(await queue.pop(["a"]), "unavailable");
  strictEqual((await sql`select from lotline.jobs where pushed_at is null`).count, 1);
});
