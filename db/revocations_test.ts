import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { disableAccount, enableAccount } from "./accounts.ts";
import { listRevocations, revokeToken } from "./revocations.ts";

const seconds = () => Math.floor(Date.now() / 1000);

Deno.test("what is revoked is listed for as long as a token may live, and no longer", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  deepStrictEqual(await listRevocations(sql), { accounts: [], tokens: [] });
  const [disabled, changed, longAgo] = [1, 2, 3].map(() => crypto.randomUUID());
  ok(disabled && changed && longAgo);
  await sql`insert into lotline.accounts (user_id, disabled_at, tokens_from) values
    (${disabled}, now() - interval '1 year', now() - interval '1 year'),
    (${changed}, null, to_timestamp(${seconds() - 42_000})),
    (${longAgo}, null, to_timestamp(${seconds() - 44_000}))`;
  const { accounts } = await listRevocations(sql);
  deepStrictEqual(
    accounts.map(({ userId, disabled }) => [userId, disabled]).sort(),
    [[disabled, true], [changed, false]].sort(),
  );
});

Deno.test("a token is listed until a minute after it has expired, and its row goes later", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const revoke = async (inSeconds: number) => {
    const tokenId = crypto.randomUUID();
    const userId = crypto.randomUUID();
    await revokeToken(sql, { tokenId, userId, expiresAt: seconds() + inSeconds });
    return tokenId;
  };
  const valid = await revoke(1_800);
  const justExpired = await revoke(-30);
  await revoke(-90);
  await revoke(-400);
  await revoke(1_800);
  const { tokens } = await listRevocations(sql);
  strictEqual(tokens.length, 3);
  ok(tokens.includes(valid) && tokens.includes(justExpired));
  const [{ rows } = { rows: 0 }] = await sql<{ rows: number }[]>`
    select count(*)::int as rows from lotline.revoked_tokens`;
  strictEqual(rows, 4);
});

Deno.test("changes of an account end its tokens of now and begin new ones within 2 s", async () => {
  await using database = await freshDatabase();
  const id = crypto.randomUUID();
  const before = seconds();
  for (const change of [disableAccount, enableAccount]) {
    const from = await change(database.sql, id);
    ok(Number.isInteger(from) && from > before && from <= seconds() + 2, `${from - before} s`);
    const [account] = (await listRevocations(database.sql)).accounts;
    deepStrictEqual(account, { userId: id, disabled: change === disableAccount, tokensFrom: from });
  }
});
