import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { Sql } from "./sql.ts";
import { freshDatabase } from "../testing/database.ts";
import { setDisabled, setRole } from "./accounts.ts";
import { type AccountState, findRevocations, revokeToken } from "./revocations.ts";
import { insertAccount } from "../testing/accounts.ts";

const seconds = () => Math.floor(Date.now() / 1000);

async function newAccount(sql: Sql, role: string | null = "VIEWER"): Promise<string> {
  return (await insertAccount(sql, { role })).id;
}

/** The current state of the account, whatever the cached one is. */
async function stateOf(sql: Sql, userId: string): Promise<AccountState> {
  const { accounts: [state] } = await findRevocations(sql, {
    accounts: [{ userId, version: "" }],
    tokens: [],
  });
  ok(state);
  return state;
}

Deno.test("an account that differs from the known state is reported once, whichever program changed it", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const [userId, bystander] = [await newAccount(sql), await newAccount(sql)];
  const known = new Map([userId, bystander].map((id) => [id, ""]));
  const changed = async () => {
    const { accounts } = await findRevocations(sql, {
      accounts: [...known].map(([userId, version]) => ({ userId, version })),
      tokens: [],
    });
    for (const { userId, version } of accounts) known.set(userId, version);
    return accounts;
  };
  strictEqual((await changed()).length, 2);
  const changes: [what: string, change: () => Promise<unknown>, expected: Partial<AccountState>][] =
    [
      [
        "a role by SQL",
        async () => await sql`update users set role = 'ADMIN' where id = ${userId}`,
        {
          role: "ADMIN",
        },
      ],
      ["a role by the command", () => setRole(sql, userId, "MANAGER"), { role: "MANAGER" }],
      ["no role", async () => await sql`update users set role = null where id = ${userId}`, {
        role: null,
      }],
      ["disabled", () => setDisabled(sql, userId, true), { disabled: true }],
      ["enabled", () => setDisabled(sql, userId, false), { disabled: false }],
      [
        "disabled by SQL",
        async () =>
          await sql`update lotline.accounts set disabled_at = now() where user_id = ${userId}`,
        {
          disabled: true,
        },
      ],
      ["enabled by SQL", async () => await sql`delete from lotline.accounts`, {
        disabled: false,
        tokensFrom: null,
      }],
      ["deleted", async () => await sql`delete from users where id = ${userId}`, {
        exists: false,
      }],
    ];
  for (const [what, change, expected] of changes) {
    await change();
    const found = await changed();
    strictEqual(found.length, 1, what);
    deepStrictEqual({ ...found[0], ...expected, userId }, found[0], what);
    deepStrictEqual(await changed(), [], what);
  }
});

Deno.test("an account can end only so many unexpired tokens, and may repeat each of them", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const [userId, other] = [crypto.randomUUID(), crypto.randomUUID()];
  const end = (userId: string, tokenId: string = crypto.randomUUID()) =>
    revokeToken(sql, { tokenId, userId, expiresAt: seconds() + 60 }, {
      caller: userId,
      key: tokenId,
      request: "00".repeat(32),
    });
  await sql`
    insert into lotline.revoked_tokens (token_id, user_id, expires_at)
    select gen_random_uuid(), ${userId}, now() + interval '1 hour' from generate_series(1, 4999)`;
  const last = crypto.randomUUID();
  deepStrictEqual([await end(userId, last), await end(userId), await end(other)], [
    true,
    false,
    true,
  ]);
  strictEqual(await revokeToken(sql, { tokenId: last, userId, expiresAt: seconds() + 60 }), true);
  strictEqual(
    (await sql`select from lotline.idempotency_keys`).length,
    2,
    "nothing else is stored",
  );
});

Deno.test("an account without its own row in auth.users, or one that never existed, is missing", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const userId = await newAccount(sql);
  await sql`alter table users drop constraint users_id_fkey`;
  await sql`delete from auth.users where id = ${userId}`;
  strictEqual((await stateOf(sql, userId)).exists, false);
  strictEqual((await stateOf(sql, crypto.randomUUID())).exists, false);
});

Deno.test("of the requested tokens the revoked ones are returned, and their rows are deleted after their expiry", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const revoke = async (inSeconds: number) => {
    const tokenId = crypto.randomUUID();
    const userId = crypto.randomUUID();
    await revokeToken(sql, { tokenId, userId, expiresAt: seconds() + inSeconds });
    return tokenId;
  };
  const [revoked, good] = [await revoke(1_800), crypto.randomUUID()];
  await revoke(-30);
  await revoke(-400);
  await revoke(1_800);
  const { tokens } = await findRevocations(sql, { accounts: [], tokens: [revoked, good] });
  deepStrictEqual(tokens, [revoked]);
  const [{ rows } = { rows: 0 }] = await sql<{ rows: number }[]>`
    select count(*)::int as rows from lotline.revoked_tokens`;
  strictEqual(rows, 3);
});

Deno.test("a change of an account ends its existing tokens, and new ones work within 2 s", async () => {
  await using database = await freshDatabase();
  const id = crypto.randomUUID();
  const before = seconds();
  for (const isDisabled of [true, false]) {
    const from = await setDisabled(database.sql, id, isDisabled);
    ok(Number.isInteger(from) && from > before && from <= seconds() + 2, `${from - before} s`);
    const { disabled, tokensFrom } = await stateOf(database.sql, id);
    deepStrictEqual([disabled, tokensFrom], [isDisabled, from]);
  }
});
