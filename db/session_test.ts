import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { openSession } from "./session.ts";
import type { SessionOptions } from "./session_settings.ts";

const database = await freshDatabase({ migrated: false });
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

const OPTIONS: SessionOptions = {
  name: "lotline-test",
  statementTimeoutMs: 4_000,
  lockTimeoutMs: 2_000,
  idleTimeoutMs: 60_000,
  idleInTransactionTimeoutMs: 10_000,
  readOnly: true,
};

/** The settings that protect the database, as PostgreSQL shows them. */
const GUARDS = {
  statement_timeout: "4s",
  lock_timeout: "2s",
  idle_session_timeout: "1min",
  idle_in_transaction_session_timeout: "10s",
  TimeZone: "UTC",
  DateStyle: "ISO, MDY",
};

const OTHER: Record<string, string> = {
  TimeZone: "Europe/Berlin",
  DateStyle: "German",
};

async function shown(address: string, setting: string, options = OPTIONS): Promise<unknown> {
  await using session = openSession(address, options);
  const [row] = await session.sql`select current_setting(${setting}) as value`;
  return row?.value;
}

const withOptions = (options: string) => `${database.url}?options=${encodeURIComponent(options)}`;

for (const [setting, value] of Object.entries(GUARDS)) {
  const other = OTHER[setting] ?? "0";
  for (
    const options of [`-c ${setting}=${other}`, `-c${setting}=${other}`, `--${setting}=${other}`]
  ) {
    Deno.test(`the address can't replace a guard: ${options}`, async () => {
      strictEqual(await shown(withOptions(options), setting), value);
    });
  }
}

Deno.test("a session that requests it is read-only", async () => {
  strictEqual(await shown(database.url, "default_transaction_read_only"), "on");
});

Deno.test("what the address sets beside the guards holds", async () => {
  strictEqual(await shown(withOptions("-c work_mem=12MB"), "work_mem"), "12MB");
});

Deno.test("a session without timeouts has none, also for a role that has them", async () => {
  const { sql } = database;
  const role = `role_${crypto.randomUUID().replaceAll("-", "")}`;
  await sql`create role ${sql(role)} login`;
  try {
    await sql`alter role ${sql(role)} set statement_timeout = '1s'`;
    const address = database.url.replace("postgres@", `${role}@`);
    strictEqual(await shown(address, "statement_timeout", { name: "lotline-test" }), "0");
  } finally {
    await sql`drop role ${sql(role)}`;
  }
});

Deno.test("a session that doesn't request it is as read-only as the server is", async () => {
  const { sql } = database;
  const [row] = await sql<{ name: string }[]>`select current_database() as name`;
  await sql`alter database ${sql(row?.name ?? "")} set default_transaction_read_only = on`;
  strictEqual(
    await shown(database.url, "default_transaction_read_only", { name: "lotline-test" }),
    "on",
  );
  await sql`alter database ${sql(row?.name ?? "")} reset default_transaction_read_only`;
});

Deno.test("the address adds to the name, which has at most 63 bytes", async () => {
  const name = "x".repeat(80);
  const address = `${database.url}?application_name=${name}`;
  strictEqual(await shown(address, "application_name"), `lotline-test/${name}`.slice(0, 63));
});

Deno.test("statements behind the one that found no server fail too", async () => {
  await using session = openSession("postgres://nobody@127.0.0.1:1/none", { name: "lotline-test" });
  const { sql } = session;
  const statements = Array.from({ length: 5 }, () => sql`select 1`);
  const results = await Promise.allSettled(statements);
  deepStrictEqual(results.map(({ status }) => status), Array(5).fill("rejected"));
  await rejects(sql`select 1`);
});

Deno.test("a session that is closed while it connects leaves no connection", async () => {
  const { sql } = database;
  for (let round = 0; round < 10; round++) {
    const session = openSession(database.url, { name: "lotline-test-closed" });
    const statement = session.sql`select 1`.catch(() => {});
    if (round % 2 === 0) await new Promise((resolve) => setTimeout(resolve, round));
    await session.sql.end({ timeout: 0 });
    await statement;
  }
  const deadline = performance.now() + 5_000;
  const count = async () =>
    (await sql`select from pg_stat_activity where application_name = 'lotline-test-closed'`).length;
  while (await count() > 0 && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  strictEqual(await count(), 0);
});
