import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { connectValkey } from "../cache/valkey.ts";
import { setDisabled } from "../db/accounts.ts";
import { connect } from "../db/connect.ts";
import type { Sql } from "../db/sql.ts";
import { freePort } from "../dev/free_port.ts";
import type { Log } from "../log.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { publishRevocation } from "./revocation_stream.ts";
import { followRevocations } from "./revocations.ts";
import type { Claims } from "./claims.ts";
import { insertAccount } from "../testing/accounts.ts";

const quiet: Log = () => {};
const now = () => Math.floor(Date.now() / 1000);

function claims(more: Partial<Claims> = {}): Claims {
  return {
    sub: crypto.randomUUID(),
    role: "VIEWER",
    jti: crypto.randomUUID(),
    iat: now(),
    exp: now() + 1_800,
    ...more,
  };
}

async function accountIn(sql: Sql, role: string | null = "VIEWER"): Promise<string> {
  return (await insertAccount(sql, { role })).id;
}

/** The claims of a token of a new account. */
async function claimsIn(sql: Sql, more: Partial<Claims> = {}): Promise<Claims> {
  return claims({ sub: await accountIn(sql), ...more });
}

Deno.test("a token is unknown until its first check, and good after it", async () => {
  await using database = await freshDatabase();
  using revocations = followRevocations({ sql: database.sql, log: quiet });
  const token = await claimsIn(database.sql);
  await revocations.refresh();
  strictEqual(revocations.stateOf(token), "unknown");
  strictEqual(await revocations.check(token), "good");
  strictEqual(revocations.stateOf(token), "good");
  const nameless = claims({ sub: await accountIn(database.sql, null), role: null });
  strictEqual(await revocations.check(nameless), "good");
});

Deno.test("a token issued before its account's tokens start has ended, one from that second hasn't", async () => {
  await using database = await freshDatabase();
  const sub = await accountIn(database.sql);
  const from = now() - 100;
  await database.sql`insert into lotline.accounts (user_id, tokens_from)
    values (${sub}, to_timestamp(${from}))`;
  using revocations = followRevocations({ sql: database.sql, log: quiet });
  strictEqual(await revocations.check(claims({ sub, iat: from - 1 })), "ended");
  strictEqual(await revocations.check(claims({ sub, iat: from })), "good");
});

/** Changes of an account by SQL, and the state of its token afterwards. */
const CHANGES: [what: string, state: string, change: (sql: Sql, id: string) => Promise<unknown>][] =
  [
    ["deleted", "no_account", async (sql, id) => {
      await sql`delete from users where id = ${id}`;
      await sql`delete from auth.users where id = ${id}`;
    }],
    [
      "of another role",
      "other_role",
      async (sql, id) => await sql`update users set role = 'MANAGER' where id = ${id}`,
    ],
    [
      "without a role",
      "other_role",
      async (sql, id) => await sql`update users set role = null where id = ${id}`,
    ],
    [
      "disabled",
      "disabled",
      async (sql, id) =>
        await sql`insert into lotline.accounts (user_id, disabled_at) values (${id}, now())`,
    ],
  ];

for (const [what, state, change] of CHANGES) {
  Deno.test(`the token of an account that SQL made ${what} is refused, whether it was seen before or not`, async () => {
    await using database = await freshDatabase();
    const { sql } = database;
    using revocations = followRevocations({ sql, log: quiet });
    const token = await claimsIn(sql);
    const bystander = await claimsIn(sql);
    for (const one of [token, bystander]) strictEqual(await revocations.check(one), "good");
    await change(sql, token.sub);
    await eventually("it is read", () => Promise.resolve(revocations.stateOf(token) === state));
    strictEqual(await revocations.check({ ...token, jti: crypto.randomUUID() }), state);
    strictEqual(revocations.stateOf(bystander), "good");
  });
}

Deno.test("the first token of a new role is good immediately, and ends those of the old role", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  using revocations = followRevocations({ sql, log: quiet });
  const before = await claimsIn(sql);
  strictEqual(await revocations.check(before), "good");
  await sql`update users set role = 'ADMIN' where id = ${before.sub}`;
  const after = claims({ sub: before.sub, role: "ADMIN" });
  strictEqual(revocations.stateOf(after), "unknown");
  strictEqual(await revocations.check(after), "good");
  strictEqual(revocations.stateOf(before), "other_role");
});

Deno.test("an id in upper case is the same account and the same token", async () => {
  await using database = await freshDatabase();
  using revocations = followRevocations({ sql: database.sql, log: quiet });
  const token = await claimsIn(database.sql);
  const capitals = { ...token, sub: token.sub.toUpperCase(), jti: token.jti.toUpperCase() };
  strictEqual(await revocations.check(capitals), "good");
  await revocations.revoke(token);
  strictEqual(revocations.stateOf(capitals), "logged_out");
});

Deno.test("after 15 s without PostgreSQL a token's state is unknown, but revoked ones stay revoked", async () => {
  await using database = await freshDatabase();
  const away = connect({ url: `postgres://127.0.0.1:${freePort()}/none`, max: 1 });
  let sql = database.sql;
  let clock = 0;
  // The state comes from the current pool: the test decides whether PostgreSQL is available.
  const either = new Proxy(database.sql, {
    apply: (_target, self, args) => Reflect.apply(sql, self, args),
    get: (_target, name) => Reflect.get(sql, name),
  });
  const lines: string[] = [];
  using revocations = followRevocations({
    sql: either,
    log: (_level, message) => lines.push(message),
    now: () => clock,
  });
  const [revoked, other, late] = [
    await claimsIn(database.sql),
    await claimsIn(database.sql),
    await claimsIn(database.sql),
  ];
  for (const token of [revoked, other]) await revocations.check(token);
  await revocations.revoke(revoked);
  sql = away;
  clock = 15_000;
  await revocations.refresh();
  deepStrictEqual([revoked, other].map(revocations.stateOf), ["logged_out", "good"]);
  clock = 15_001;
  deepStrictEqual([revoked, other].map(revocations.stateOf), ["logged_out", "unknown"]);
  for (const look of [revocations.check, revocations.checkQuickly]) {
    strictEqual(await look(late), "unknown");
  }
  strictEqual(lines.length, 1);
  sql = database.sql;
  await revocations.refresh();
  deepStrictEqual([revoked, other].map(revocations.stateOf), ["logged_out", "good"]);
  await away.end({ timeout: 0 });
});

Deno.test("a peek doesn't wait for a slow read", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const token = await claimsIn(sql);
  const never = new Proxy(sql, {
    get: (target, name) =>
      name === "unsafe" ? () => new Promise(() => {}) : Reflect.get(target, name),
  });
  using revocations = followRevocations({ sql: never, log: quiet });
  strictEqual(await revocations.checkQuickly(token), "unknown");
});

Deno.test("a token that ends during a read of PostgreSQL stays ended after that read", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const arrived = Promise.withResolvers<void>();
  const letGo = Promise.withResolvers<void>();
  let isSlow = false;
  // The rows of one read are selected, and delayed for as long as the test decides.
  const slow = new Proxy(sql, {
    get: (target, name) =>
      name !== "unsafe" || !isSlow ? Reflect.get(target, name) : async (...args: []) => {
        isSlow = false;
        const rows = await Reflect.apply(target.unsafe, target, args);
        arrived.resolve();
        await letGo.promise;
        return rows;
      },
  });
  using revocations = followRevocations({ sql: slow, log: quiet });
  const revoked = await claimsIn(sql);
  strictEqual(await revocations.check(revoked), "good");
  await revocations.refresh();
  isSlow = true;
  const reading = revocations.refresh();
  await arrived.promise;
  await revocations.revoke(revoked);
  letGo.resolve();
  await reading;
  strictEqual(revocations.stateOf(revoked), "logged_out");
});

Deno.test("an announcement of another process is applied before PostgreSQL is read again", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await using own = await ownValkey();
  const valkey = connectValkey(own.server.url, quiet);
  try {
    await eventually("Valkey responds", () => valkey.isUsable());
    using revocations = followRevocations({ sql, valkey, log: quiet });
    const [token, disabled, changed, good] = [
      await claimsIn(sql),
      await claimsIn(sql),
      await claimsIn(sql),
      await claimsIn(sql),
    ];
    for (const one of [token, disabled, changed, good]) await revocations.check(one);
    // None of it is in PostgreSQL, so it can only come from the announcement. A read may undo it.
    await eventually("the news are heard", async () => {
      await publishRevocation(valkey, { kind: "token", tokenId: token.jti, expiresAt: token.exp });
      const account = { kind: "account", disabled: false, tokensFrom: null } as const;
      await publishRevocation(valkey, { ...account, userId: disabled.sub, disabled: true });
      await publishRevocation(valkey, {
        ...account,
        userId: changed.sub,
        tokensFrom: changed.iat + 1,
      });
      const states = [token, disabled, changed].map(revocations.stateOf);
      return states.join() === "logged_out,disabled,ended";
    });
    strictEqual(revocations.stateOf(good), "good");
  } finally {
    valkey.close();
  }
});

Deno.test("other processes learn immediately of a token that one process ends", async () => {
  await using database = await freshDatabase();
  // The other one reads another database, so it can only learn it from the announcement.
  await using elsewhere = await freshDatabase();
  await using own = await ownValkey();
  const valkey = connectValkey(own.server.url, quiet);
  try {
    await eventually("Valkey responds", () => valkey.isUsable());
    using one = followRevocations({ sql: database.sql, valkey, log: quiet });
    using other = followRevocations({ sql: elsewhere.sql, valkey, log: quiet });
    const sub = await accountIn(elsewhere.sql);
    // Announcements before its subscription don't reach it.
    const revoked: Claims[] = [];
    await eventually("the other one hears", async () => {
      const token = claims({ sub });
      strictEqual(await other.check(token), "good");
      await one.revoke(token);
      revoked.push(token);
      return revoked.some((token) => other.stateOf(token) === "logged_out");
    });
  } finally {
    valkey.close();
  }
});

Deno.test("without Valkey a change is seen by polling PostgreSQL", async () => {
  await using database = await freshDatabase();
  using revocations = followRevocations({ sql: database.sql, log: quiet });
  const token = await claimsIn(database.sql);
  strictEqual(await revocations.check(token), "good");
  await setDisabled(database.sql, token.sub, true);
  await eventually(
    "it is read",
    () => Promise.resolve(revocations.stateOf(token) === "disabled"),
  );
});

Deno.test("a token is stored as revoked when revoke resolves, and revoking it twice is no error", async () => {
  await using database = await freshDatabase();
  using revocations = followRevocations({ sql: database.sql, log: quiet });
  const revoked = await claimsIn(database.sql);
  await revocations.revoke(revoked);
  await revocations.revoke(revoked);
  using other = followRevocations({ sql: database.sql, log: quiet });
  strictEqual(await other.check(revoked), "logged_out");
  strictEqual(await other.check(claims({ sub: revoked.sub })), "good");
});

Deno.test("a read covers the tokens that were sent, not all accounts", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`insert into auth.users (id, email)
    select gen_random_uuid(), 'a' || i from generate_series(1, 2000) i`;
  await sql`insert into users (id, email, role) select id, email, 'VIEWER' from auth.users`;
  await sql`insert into lotline.accounts (user_id, disabled_at) select id, now() from users`;
  await sql`insert into lotline.revoked_tokens (token_id, user_id, expires_at)
    select gen_random_uuid(), gen_random_uuid(), now() + interval '10 minutes'
    from generate_series(1, 2000)`;
  let rows = 0;
  const counting = new Proxy(sql, {
    get: (target, name) =>
      name !== "unsafe" ? Reflect.get(target, name) : async (...args: []) => {
        const found = await Reflect.apply(target.unsafe, target, args);
        rows += found.length;
        return found;
      },
  });
  using revocations = followRevocations({ sql: counting, log: quiet });
  const token = await claimsIn(sql);
  strictEqual(await revocations.check(token), "good");
  for (let i = 0; i < 3; i++) await revocations.refresh();
  strictEqual(rows, 1);
});
