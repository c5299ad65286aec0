import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { delay } from "../timing.ts";
import { setDisabled, setPasswordHash, setRole } from "./accounts.ts";
import { findLogin, type Login, recordLogin, replacePasswordHash } from "./users.ts";
import { writeTo } from "./write.ts";

const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

async function newAccount(email = `${crypto.randomUUID()}@plant.example`, ageDays = 0) {
  const id = crypto.randomUUID();
  await sql`insert into auth.users (id, encrypted_password) values (${id}, 'old hash')`;
  await sql`insert into users (id, email, role, created_at)
    values (${id}, ${email}, 'VIEWER', now() - make_interval(days => ${ageDays}))`;
  return { id, email };
}

async function loginOf(email: string): Promise<Login> {
  const login = await findLogin(sql, email);
  ok(login);
  return login;
}

async function lastLogin(id: string): Promise<string | null> {
  const [row] = await sql<{ last_login: string | null }[]>`
    select last_login from users where id = ${id}`;
  return row?.last_login ?? null;
}

Deno.test("a login is found only by its exact email, with its hash and revocations", async () => {
  const { id, email } = await newAccount();
  const login = await loginOf(email);
  deepStrictEqual([login.user.id, login.user.email, login.user.role], [id, email, "VIEWER"]);
  deepStrictEqual([login.encryptedPassword, login.disabled, login.tokensFrom], [
    "old hash",
    false,
    null,
  ]);
  const tokensFrom = await setDisabled(sql, id, true);
  const disabled = await loginOf(email);
  deepStrictEqual([disabled.disabled, disabled.tokensFrom], [true, tokensFrom]);
  for (const other of [email.toUpperCase(), ` ${email}`, "", "%"]) {
    strictEqual(await findLogin(sql, other), undefined);
  }
});

Deno.test("of several accounts with one email the oldest logs in", async () => {
  const email = "shared@plant.example";
  await newAccount(email, 1);
  const { id } = await newAccount(email, 2);
  await newAccount(email);
  strictEqual((await loginOf(email)).user.id, id);
});

Deno.test("a login is recorded, and the account's current state is returned", async () => {
  const before = Date.now();
  const { id, email } = await newAccount();
  const login = await loginOf(email);
  const user = await recordLogin(writeTo(sql), login);
  deepStrictEqual(user, { ...login.user, last_login: await lastLogin(id) });
  ok(Date.parse(user?.last_login ?? "") >= before - 1_000);
});

const CHANGES: [what: string, change: (id: string) => Promise<unknown>][] = [
  ["disabled", (id) => setDisabled(sql, id, true)],
  ["enabled", (id) => setDisabled(sql, id, false)],
  ["given another password", (id) => setPasswordHash(sql, id, "new hash")],
  ["given another role", (id) => setRole(sql, id, "ADMIN")],
];

for (const [what, change] of CHANGES) {
  Deno.test(`a login to an account that was ${what} during the check is not recorded`, async () => {
    const { id, email } = await newAccount();
    // One account without an earlier change, and one with.
    for (let round = 0; round < 2; round++) {
      const login = await loginOf(email);
      // Changes of the same second would end the same tokens.
      if (round > 0) await delay(1_000);
      await change(id);
      strictEqual(await recordLogin(writeTo(sql), login), undefined);
      strictEqual(await lastLogin(id), null);
    }
  });
}

Deno.test("a hash is replaced only if it is the one that was checked", async () => {
  const { id, email } = await newAccount();
  await replacePasswordHash(sql, id, "another hash", "new hash");
  strictEqual((await loginOf(email)).encryptedPassword, "old hash");
  await replacePasswordHash(sql, id, "old hash", "new hash");
  strictEqual((await loginOf(email)).encryptedPassword, "new hash");
});
