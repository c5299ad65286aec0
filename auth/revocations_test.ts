import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { connectValkey } from "../cache/valkey.ts";
import { disableAccount } from "../db/accounts.ts";
import { connect } from "../db/connect.ts";
import { freePort } from "../dev/free_port.ts";
import type { Log } from "../log.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { announce } from "./revocation_news.ts";
import { followRevocations } from "./revocations.ts";
import type { Claims } from "./tokens.ts";

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

async function accountIn(sql: Awaited<ReturnType<typeof freshDatabase>>["sql"]): Promise<string> {
  const id = crypto.randomUUID();
  await sql`insert into auth.users (id) values (${id})`;
  await sql`insert into users (id, email) values (${id}, ${`${id}@example.com`})`;
  return id;
}

Deno.test("nothing is known of a token before PostgreSQL was read, and then it is good", async () => {
  await using database = await freshDatabase();
  using revocations = followRevocations({ sql: database.sql, log: quiet });
  strictEqual(revocations.stateOf(claims()), "unknown");
  await revocations.refresh();
  strictEqual(revocations.stateOf(claims()), "good");
});

Deno.test("a token issued before its account's tokens begin is revoked, one from that second isn't", async () => {
  await using database = await freshDatabase();
  const sub = await accountIn(database.sql);
  const from = now() - 100;
  await database.sql`insert into lotline.accounts (user_id, tokens_from)
    values (${sub}, to_timestamp(${from}))`;
  using revocations = followRevocations({ sql: database.sql, log: quiet });
  await revocations.refresh();
  strictEqual(revocations.stateOf(claims({ sub, iat: from - 1 })), "revoked");
  strictEqual(revocations.stateOf(claims({ sub, iat: from })), "good");
});

Deno.test("after 15 s without PostgreSQL nothing is known of a token, but what was revoked stays so", async () => {
  await using database = await freshDatabase();
  const away = connect({ url: `postgres://127.0.0.1:${freePort()}/none`, max: 1 });
  let sql = database.sql;
  let clock = 0;
  // The pool of now is asked: what PostgreSQL is to it, away or back, the test says.
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
  const [revoked, other] = [claims(), claims()];
  await revocations.refresh();
  await revocations.revoke(revoked);
  sql = away;
  clock = 15_000;
  await revocations.refresh();
  deepStrictEqual([revoked, other].map(revocations.stateOf), ["revoked", "good"]);
  clock = 15_001;
  deepStrictEqual([revoked, other].map(revocations.stateOf), ["revoked", "unknown"]);
  await revocations.refresh();
  strictEqual(lines.length, 1);
  sql = database.sql;
  await revocations.refresh();
  deepStrictEqual([revoked, other].map(revocations.stateOf), ["revoked", "good"]);
  await away.end({ timeout: 0 });
});

Deno.test("a token that is ended while PostgreSQL is being read isn't forgotten by that reading", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const arrived = Promise.withResolvers<void>();
  const letGo = Promise.withResolvers<void>();
  let readings = 0;
  // The second reading's rows are there, and on their way for as long as the test says.
  const slow = new Proxy(sql, {
    get: (target, name) =>
      name !== "unsafe" || ++readings !== 2 ? Reflect.get(target, name) : async (...args: []) => {
        const rows = await Reflect.apply(target.unsafe, target, args);
        arrived.resolve();
        await letGo.promise;
        return rows;
      },
  });
  using revocations = followRevocations({ sql: slow, log: quiet });
  await revocations.refresh();
  const reading = revocations.refresh();
  await arrived.promise;
  const revoked = claims();
  await revocations.revoke(revoked);
  letGo.resolve();
  await reading;
  strictEqual(revocations.stateOf(revoked), "revoked");
});

Deno.test("what another process announces is known before PostgreSQL is read again", async () => {
  await using database = await freshDatabase();
  await using own = await ownValkey();
  const valkey = connectValkey(own.server.url, quiet);
  try {
    await eventually("Valkey answers", () => valkey.answers());
    using revocations = followRevocations({ sql: database.sql, valkey, log: quiet });
    await revocations.refresh();
    const [token, disabled, changed, good] = [claims(), claims(), claims(), claims()];
    // None of it is in PostgreSQL: only the news can have told.
    await eventually("the news are heard", async () => {
      await announce(valkey, { kind: "token", tokenId: token.jti, expiresAt: token.exp });
      const account = { kind: "account", disabled: false, tokensFrom: null } as const;
      await announce(valkey, { ...account, userId: disabled.sub, disabled: true });
      await announce(valkey, { ...account, userId: changed.sub, tokensFrom: changed.iat + 1 });
      return [token, disabled, changed].every((c) => revocations.stateOf(c) === "revoked");
    });
    strictEqual(revocations.stateOf(good), "good");
  } finally {
    valkey.close();
  }
});

Deno.test("a token that one process ends is told to the others at once", async () => {
  await using database = await freshDatabase();
  // The other one reads another database: only the news can tell it.
  await using elsewhere = await freshDatabase();
  await using own = await ownValkey();
  const valkey = connectValkey(own.server.url, quiet);
  try {
    await eventually("Valkey answers", () => valkey.answers());
    using one = followRevocations({ sql: database.sql, valkey, log: quiet });
    using other = followRevocations({ sql: elsewhere.sql, valkey, log: quiet });
    await other.refresh();
    // Until it has begun to listen, news are not for it.
    const revoked: Claims[] = [];
    await eventually("the other one hears", async () => {
      const token = claims();
      await one.revoke(token);
      revoked.push(token);
      return revoked.some((token) => other.stateOf(token) === "revoked");
    });
  } finally {
    valkey.close();
  }
});

Deno.test("a change is seen without Valkey, by reading PostgreSQL again and again", async () => {
  await using database = await freshDatabase();
  const sub = await accountIn(database.sql);
  using revocations = followRevocations({ sql: database.sql, log: quiet });
  await revocations.refresh();
  strictEqual(revocations.stateOf(claims({ sub })), "good");
  await disableAccount(database.sql, sub);
  await eventually(
    "it is read",
    () => Promise.resolve(revocations.stateOf(claims({ sub })) === "revoked"),
  );
});

Deno.test("a token is stored as revoked when revoke resolves, and twice is no fault", async () => {
  await using database = await freshDatabase();
  using revocations = followRevocations({ sql: database.sql, log: quiet });
  const revoked = claims();
  await revocations.revoke(revoked);
  await revocations.revoke(revoked);
  using other = followRevocations({ sql: database.sql, log: quiet });
  await other.refresh();
  strictEqual(other.stateOf(revoked), "revoked");
  ok(other.stateOf(claims({ sub: revoked.sub })) === "good");
});
