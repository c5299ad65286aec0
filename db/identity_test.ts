import { deepStrictEqual, notStrictEqual, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { connect } from "./connect.ts";
import { followIdentity, readIdentity } from "./identity.ts";

Deno.test("a database has one identity, and its copy on the same server another", async () => {
  await using one = await freshDatabase();
  await using copy = await freshDatabase();
  const identity = await readIdentity(one.sql);
  strictEqual(await readIdentity(one.sql), identity);
  notStrictEqual(await readIdentity(copy.sql), identity);
  const logged: unknown[] = [];
  using followed = followIdentity({ sql: one.sql, log: (...line) => logged.push(line) });
  strictEqual(followed.current, undefined);
  await followed.known;
  strictEqual(followed.current, identity);
  deepStrictEqual(logged, []);
});

Deno.test("a user who may not read the identity is told so once, and reads it after the grant", async () => {
  await using database = await freshDatabase({ migrated: false });
  const { sql } = database;
  const role = `test_${crypto.randomUUID().replaceAll("-", "")}`;
  await sql`revoke execute on function pg_control_system() from public`;
  await sql`create role ${sql(role)} login`;
  const url = database.url.replace("//postgres@", `//${role}@`);
  const plain = connect({ url, max: 1, name: "lotline-test" });
  try {
    const logged: string[] = [];
    using followed = followIdentity({
      sql: plain,
      log: (_, event) => logged.push(event),
      everyMs: 50,
    });
    await eventually("it is logged", () => Promise.resolve(logged.length > 0));
    await sql`grant execute on function pg_control_system() to ${sql(role)}`;
    await followed.known;
    strictEqual(followed.current, await readIdentity(sql));
    deepStrictEqual(logged, ["identity_unreadable"]);
  } finally {
    await plain.end({ timeout: 1 });
    await sql`drop owned by ${sql(role)}`;
    await sql`drop role ${sql(role)}`;
  }
});
