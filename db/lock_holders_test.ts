import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import {
  describeHolder,
  findLockHolder,
  isNamed,
  listBlockers,
  type LockHolder,
} from "./lock_holders.ts";
import { openSession } from "./session.ts";

const KEY = 4_711;

const MOMENT = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`;

Deno.test("the holder of an advisory lock is found, with what it is and since when it is idle", async () => {
  await using database = await freshDatabase();
  const { sql, url } = database;
  await using session = openSession(url, { name: "psql" });
  const [own] = await session.sql<{ pid: number; user: string }[]>`
    select pg_backend_pid() as pid, current_user::text as user from pg_advisory_lock(${KEY})`;
  const holder = await findLockHolder(sql, KEY);
  ok(holder && own);
  deepStrictEqual([holder.pid, holder.user, holder.transactionAt], [own.pid, own.user, null]);
  match(
    describeHolder(holder),
    new RegExp(
      `^connection ${own.pid} \\(psql, ${own.user}@127\\.0\\.0\\.1, connected since ${MOMENT}, ` +
        `idle since ${MOMENT}\\)$`,
    ),
  );
  await session.sql`begin`;
  match(
    describeHolder(await findLockHolder(sql, KEY) ?? holder),
    new RegExp(`, in a transaction since ${MOMENT}, idle since ${MOMENT}\\)$`),
  );
});

Deno.test("a free lock, another one and the same one of another database have no holder", async () => {
  await using database = await freshDatabase();
  await using other = await freshDatabase();
  await using session = openSession(other.url, { name: "psql" });
  await session.sql`select pg_advisory_lock(${KEY})`;
  strictEqual(await findLockHolder(database.sql, KEY), undefined);
  strictEqual(await findLockHolder(other.sql, KEY + 1), undefined);
});

Deno.test("a user without rights sees number, name and user of the holder", async () => {
  await using database = await freshDatabase();
  const { sql, url } = database;
  const role = `lotline_seer_${crypto.randomUUID().slice(0, 8)}`;
  await sql.unsafe(`create role ${role} login password 'change me'`);
  try {
    await using session = openSession(url, { name: "lotline-relay" });
    const [own] = await session.sql<{ pid: number; user: string }[]>`
      select pg_backend_pid() as pid, current_user::text as user from pg_advisory_lock(${KEY})`;
    const seerUrl = Object.assign(new URL(url), { username: role, password: "change me" }).href;
    await using seer = openSession(seerUrl, { name: "seer" });
    const holder = await findLockHolder(seer.sql, KEY);
    ok(holder && own);
    strictEqual(
      describeHolder(holder),
      `connection ${own.pid} (lotline-relay, ${own.user}, this user may not see since when)`,
    );
    strictEqual(holder.silentS, null);
  } finally {
    await sql.unsafe(`drop role ${role}`);
  }
});

Deno.test("the blockers of a connection are those that it waits for", async () => {
  await using database = await freshDatabase();
  const { sql, url } = database;
  await using session = openSession(url, { name: "lotline-test" });
  const [own] = await session.sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  const pid = own?.pid ?? 0;
  strictEqual((await listBlockers(sql, pid)).length, 0);
  await using reader = await openTransaction(sql, "select from lots");
  const altering = session.sql`alter table lots add column extra int`.execute();
  await eventually(
    "it waits for the reader",
    async () => (await listBlockers(sql, pid)).length === 1,
  );
  const [blocker] = await listBlockers(sql, pid);
  ok(blocker?.transactionAt && blocker.idleAt);
  strictEqual(blocker.application, "lotline-test");
  await reader.commit();
  await altering;
});

const HOLDER: LockHolder = {
  pid: 4711,
  application: "lotline-relay",
  user: "plant",
  client: null,
  connectedAt: "2026-11-30T10:05:31.000Z",
  transactionAt: null,
  idleAt: null,
  silentS: 0,
};

Deno.test("a holder on a Unix socket, and a prepared transaction, are described, too", () => {
  strictEqual(
    describeHolder(HOLDER),
    "connection 4711 (lotline-relay, plant, connected since 2026-11-30T10:05:31.000Z)",
  );
  strictEqual(
    describeHolder({ ...HOLDER, pid: 0, application: "", user: "", connectedAt: null }),
    "a prepared transaction (pg_prepared_xacts lists them)",
  );
});

Deno.test("a name is that of a process with and without what an address adds to it", () => {
  const names = ["lotline-relay", "lotline-relay/plant", "lotline-relay2", "lotline", ""];
  const named = names.filter((application) => isNamed({ ...HOLDER, application }, "lotline-relay"));
  deepStrictEqual(named, ["lotline-relay", "lotline-relay/plant"]);
});
