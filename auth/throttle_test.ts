import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { connectValkey, type Valkey } from "../cache/valkey.ts";
import type { Log } from "../log.ts";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { createLoginThrottle, type LoginThrottle } from "./throttle.ts";
import { TryCounts } from "./try_counts.ts";

const MINUTE = 60_000;
const quiet: Log = () => {};

const server = await ownValkey();
Deno.test.afterAll(async () => await server[Symbol.asyncDispose]());

async function connected(): Promise<Valkey> {
  const valkey = connectValkey(server.server.url, quiet);
  await eventually("Valkey responds", () => valkey.isUsable());
  return valkey;
}

let names = 0;
const newEmail = () => `${names++}@example.com`;
const newAddress = () => `198.51.${names >> 8}.${names++ & 255}`;

/** Tries to log in and fails; returns the throttle's decision. */
async function fail(throttle: LoginThrottle, email = newEmail(), address = newAddress()) {
  const turn = await throttle.consume(email, address);
  if (!turn.allowed) return turn.by;
  await turn.fail();
  return "allowed";
}

/** The same rules hold with Valkey and without. */
const KINDS: [name: string, valkey: () => Promise<Valkey | undefined>][] = [
  ["in Valkey", connected],
  ["in the process alone", () => Promise.resolve(undefined)],
];

for (const [kind, connect] of KINDS) {
  const test = (name: string, body: (valkey: { valkey?: Valkey }) => Promise<void>) =>
    Deno.test(`${kind}: ${name}`, async () => {
      const valkey = await connect();
      try {
        await body(valkey === undefined ? {} : { valkey });
      } finally {
        valkey?.close();
      }
    });

  test("an account has a limited number of tries, from any address", async (valkey) => {
    const throttle = createLoginThrottle({ perAccount: 3, perAddress: 100, ...valkey });
    const email = newEmail();
    for (let i = 0; i < 3; i++) strictEqual(await fail(throttle, email), "allowed");
    for (let i = 0; i < 2; i++) strictEqual(await fail(throttle, email), "account");
    strictEqual(await fail(throttle), "allowed");
  });

  test("peek returns what a try would get, and doesn't count", async (valkey) => {
    const throttle = createLoginThrottle({ perAccount: 2, perAddress: 3, ...valkey });
    const [email, address] = [newEmail(), newAddress()];
    const look = async (email: string, address: string) => {
      const turn = await throttle.peek(email, address);
      if (!turn.allowed) return [turn.by, turn.retryAfterS > 800 && turn.retryAfterS <= 900];
      for (const end of [turn.fail, turn.succeed, turn.cancel]) await end();
      return "allowed";
    };
    for (let i = 0; i < 2; i++) {
      strictEqual(await look(email, address), "allowed");
      strictEqual(await fail(throttle, email, address), "allowed");
    }
    for (let i = 0; i < 2; i++) {
      deepStrictEqual(await look(email, newAddress()), ["account", true]);
      strictEqual(await look(newEmail(), address), "allowed");
    }
    strictEqual(await fail(throttle, newEmail(), address), "allowed");
    deepStrictEqual(await look(newEmail(), address), ["address", true]);
  });

  test("an address has a limited number of tries, for any account", async (valkey) => {
    const throttle = createLoginThrottle({ perAccount: 3, perAddress: 5, ...valkey });
    const address = newAddress();
    for (let i = 0; i < 5; i++) {
      strictEqual(await fail(throttle, newEmail(), address), "allowed");
    }
    for (let i = 0; i < 2; i++) {
      strictEqual(await fail(throttle, newEmail(), address), "address");
    }
    strictEqual(await fail(throttle), "allowed");
  });

  test("an IPv6 address counts with its whole /64, and no further", async (valkey) => {
    const throttle = createLoginThrottle({ perAccount: 3, perAddress: 2, ...valkey });
    const network = `2001:db8:${(names++).toString(16)}`;
    strictEqual(await fail(throttle, newEmail(), `${network}::1`), "allowed");
    strictEqual(await fail(throttle, newEmail(), `${network}:0:ffff:ffff:0:1`), "allowed");
    strictEqual(await fail(throttle, newEmail(), `${network}:0:1:2:3:4`), "address");
    strictEqual(await fail(throttle, newEmail(), `${network}:1::1`), "allowed");
  });

  test("a refused try isn't counted: it doesn't make the wait longer", async (valkey) => {
    const throttle = createLoginThrottle({ perAccount: 1, perAddress: 2, ...valkey });
    const [email, address] = [newEmail(), newAddress()];
    strictEqual(await fail(throttle, email, address), "allowed");
    for (let i = 0; i < 5; i++) strictEqual(await fail(throttle, email, address), "account");
    strictEqual(await fail(throttle, newEmail(), address), "allowed");
    strictEqual(await fail(throttle, newEmail(), address), "address");
  });

  test("concurrent tries are limited as sequential ones are", async (valkey) => {
    const throttle = createLoginThrottle({ perAccount: 4, perAddress: 100, ...valkey });
    const email = newEmail();
    const responses = await Promise.all(Array.from({ length: 30 }, () => fail(throttle, email)));
    strictEqual(responses.filter((response) => response === "allowed").length, 4);
  });

  test("a success clears the account's failed tries, not the address's", async (valkey) => {
    const throttle = createLoginThrottle({ perAccount: 2, perAddress: 4, ...valkey });
    const [email, address] = [newEmail(), newAddress()];
    await fail(throttle, email, address);
    const turn = await throttle.consume(email, address);
    ok(turn.allowed);
    await turn.succeed();
    // One of the address's four tries is used: the failed one.
    for (let i = 0; i < 2; i++) strictEqual(await fail(throttle, email, address), "allowed");
    strictEqual(await fail(throttle, email, address), "account");
    strictEqual(await fail(throttle, newEmail(), address), "allowed");
    strictEqual(await fail(throttle, newEmail(), address), "address");
  });

  test("a cancelled try leaves the others unchanged", async (valkey) => {
    const throttle = createLoginThrottle({ perAccount: 2, perAddress: 2, ...valkey });
    const [email, address] = [newEmail(), newAddress()];
    await fail(throttle, email, address);
    for (let i = 0; i < 5; i++) {
      const turn = await throttle.consume(email, address);
      ok(turn.allowed);
      await turn.cancel();
    }
    strictEqual(await fail(throttle, email, address), "allowed");
    strictEqual(await fail(throttle, email, address), "account");
  });

  test("running tries hold their slots, and a client refused because of them gets a short wait", async (valkey) => {
    const throttle = createLoginThrottle({ perAccount: 3, perAddress: 100, ...valkey });
    const email = newEmail();
    const enter = () => throttle.consume(email, newAddress());
    await fail(throttle, email);
    const [one, other] = [await enter(), await enter()];
    ok(one.allowed && other.allowed);
    const refused = await enter();
    ok(!refused.allowed && refused.retryAfterS > 25 && refused.retryAfterS <= 30);
    await other.cancel();
    const next = await enter();
    ok(next.allowed);
    // Two of three have failed, and one is running.
    await next.fail();
    strictEqual((await enter()).allowed, false);
    await one.succeed();
    for (let i = 0; i < 3; i++) strictEqual(await fail(throttle, email), "allowed");
    strictEqual(await fail(throttle, email), "account");
  });

  test("a refused client gets the exact wait: until the first of the tries is 15 minutes old", async (valkey) => {
    const throttle = createLoginThrottle({ perAccount: 2, perAddress: 100, ...valkey });
    const email = newEmail();
    for (let i = 0; i < 2; i++) await fail(throttle, email);
    const turn = await throttle.consume(email, newAddress());
    ok(!turn.allowed && turn.retryAfterS > 890 && turn.retryAfterS <= 900, JSON.stringify(turn));
  });
}

Deno.test("the window slides: each try counts for 15 minutes, not until a common end", async () => {
  let now = 0;
  const throttle = createLoginThrottle({ perAccount: 3, perAddress: 100, now: () => now });
  const email = newEmail();
  const tries: [minute: number, response: string][] = [
    [0, "allowed"],
    [10, "allowed"],
    [14, "allowed"],
    [14.9, "account"],
    [15, "allowed"],
    [15.1, "account"],
    [24.9, "account"],
    [25, "allowed"],
    [28, "account"],
    [29, "allowed"],
  ];
  for (const [minute, response] of tries) {
    now = minute * MINUTE;
    strictEqual(await fail(throttle, email), response, `minute ${minute}`);
  }
  now = 29.5 * MINUTE;
  const turn = await throttle.consume(email, newAddress());
  deepStrictEqual(turn, { allowed: false, by: "account", retryAfterS: 30 });
});

Deno.test("a try without a reported outcome counts for half a minute", async () => {
  let now = 0;
  const throttle = createLoginThrottle({ perAccount: 1, perAddress: 100, now: () => now });
  const email = newEmail();
  const isAllowed = async () => (await throttle.consume(email, newAddress())).allowed;
  deepStrictEqual([await isAllowed(), await isAllowed()], [true, false]);
  now = 29_999;
  strictEqual(await isAllowed(), false);
  now = 30_000;
  strictEqual(await isAllowed(), true);
});

Deno.test("in Valkey each try expires from the window by itself too", async () => {
  const valkey = await connected();
  let now = 0;
  const throttle = createLoginThrottle({ perAccount: 2, perAddress: 100, valkey, now: () => now });
  const email = newEmail();
  for (let i = 0; i < 2; i++) {
    now = i * MINUTE;
    await fail(throttle, email);
  }
  now = 15 * MINUTE;
  // Valkey's clock can't be changed, so its entries are: they become 14 and 15 minutes older.
  await valkey.tryCommand(async (client) => {
    for (const keyOfAny of await client.keys("lotline:{login}:*")) {
      if (keyOfAny.endsWith(":success")) continue;
      const members = await client.zRangeWithScores(keyOfAny, 0, -1);
      for (const [at, { value, score }] of members.entries()) {
        const older = (at === 0 ? 15 : 14) * MINUTE;
        await client.zAdd(keyOfAny, { value, score: score - older });
      }
    }
  });
  strictEqual(await fail(throttle, email), "allowed");
  const turn = await throttle.consume(email, newAddress());
  ok(!turn.allowed && turn.retryAfterS > 50 && turn.retryAfterS <= 60, JSON.stringify(turn));
  valkey.close();
});

Deno.test("two processes share their counts in Valkey", async () => {
  const [one, two] = [await connected(), await connected()];
  const limits = { perAccount: 4, perAddress: 100 };
  const throttles = [one, two].map((valkey) => createLoginThrottle({ ...limits, valkey }));
  const email = newEmail();
  for (let i = 0; i < 2; i++) {
    for (const throttle of throttles) strictEqual(await fail(throttle, email), "allowed");
  }
  for (const throttle of throttles) strictEqual(await fail(throttle, email), "account");
  one.close();
  two.close();
});

Deno.test("when Valkey becomes unavailable a process continues with the tries that it has seen itself", async () => {
  await using own = await ownValkey();
  const valkey = connectValkey(own.server.url, quiet);
  await eventually("Valkey responds", () => valkey.isUsable());
  const throttle = createLoginThrottle({ perAccount: 3, perAddress: 100, valkey });
  const email = newEmail();
  for (let i = 0; i < 2; i++) strictEqual(await fail(throttle, email), "allowed");
  await own.server.kill();
  await eventually("Valkey is away", async () => !await valkey.isUsable());
  strictEqual(await fail(throttle, email), "allowed");
  strictEqual(await fail(throttle, email), "account");
  valkey.close();
});

Deno.test("a Valkey that loses its counts restores no tries: emptied before each try, or with other keys", async () => {
  await using own = await ownValkey();
  const valkey = connectValkey(own.server.url, quiet);
  await eventually("Valkey responds", () => valkey.isUsable());
  const losses: [what: string, lose: () => Promise<unknown>][] = [
    ["FLUSHALL", () => valkey.tryCommand((client) => client.flushAll())],
    ["eviction", () =>
      valkey.tryCommand(async (client) => {
        for (const key of await client.keys("lotline:{login}:*")) await client.del(key);
      })],
  ];
  for (const [what, lose] of losses) {
    const throttle = createLoginThrottle({ perAccount: 3, perAddress: 5, valkey });
    const [email, address] = [newEmail(), newAddress()];
    const tries = async (count: number, email: () => string, address: () => string) => {
      const notified = [];
      for (let i = 0; i < count; i++) {
        await lose();
        notified.push(await fail(throttle, email(), address()));
      }
      return notified;
    };
    const byEmail = await tries(5, () => email, newAddress);
    deepStrictEqual(byEmail, [...Array(3).fill("allowed"), ...Array(2).fill("account")], what);
    const byAddress = await tries(7, newEmail, () => address);
    deepStrictEqual(byAddress, [...Array(5).fill("allowed"), ...Array(2).fill("address")], what);
    await lose();
    const look = await throttle.peek(email, newAddress());
    strictEqual(look.allowed, false, what);
  }
  valkey.close();
});

Deno.test("a try that only this process refuses isn't counted in Valkey", async () => {
  await using own = await ownValkey();
  const valkey = connectValkey(own.server.url, quiet);
  await eventually("Valkey responds", () => valkey.isUsable());
  const throttle = createLoginThrottle({ perAccount: 1, perAddress: 100, valkey });
  const other = createLoginThrottle({ perAccount: 1, perAddress: 100, valkey });
  const email = newEmail();
  strictEqual(await fail(throttle, email), "allowed");
  await valkey.tryCommand((client) => client.flushAll());
  strictEqual(await fail(throttle, email), "account");
  strictEqual(await fail(other, email), "allowed");
  valkey.close();
});

Deno.test("a success in one process clears the account's count in the others, for tries before it", async () => {
  const valkey = await connected();
  const limits = { perAccount: 3, perAddress: 100 };
  const [one, other] = [1, 2].map(() => createLoginThrottle({ ...limits, valkey }));
  ok(one && other);
  const email = newEmail();
  for (let i = 0; i < 2; i++) strictEqual(await fail(one, email), "allowed");
  const turn = await other.consume(email, newAddress());
  ok(turn.allowed);
  await turn.succeed();
  for (let i = 0; i < 3; i++) strictEqual(await fail(one, email), "allowed", `try ${i}`);
  strictEqual(await fail(one, email), "account");
  await valkey.tryCommand((client) => client.flushAll());
  strictEqual(await fail(one, email), "account");
  valkey.close();
});

Deno.test("Valkey holds neither emails nor addresses, and every key expires by itself", async () => {
  const valkey = await connected();
  const throttle = createLoginThrottle({ perAccount: 3, perAddress: 100, valkey });
  await fail(throttle, "operator@plant.example", "203.0.113.77");
  const found = await valkey.tryCommand(async (client) => {
    const keys = await client.keys("*");
    return await Promise.all(keys.map(async (key) => ({ key, left: await client.pTTL(key) })));
  }) ?? [];
  ok(found.length >= 2);
  for (const { key, left } of found) {
    strictEqual(/operator|plant|203\.0/.test(key), false);
    ok(left > 0 && left <= 15 * MINUTE, `${key}: ${left} ms`);
  }
  valkey.close();
});

Deno.test("of 20,001 keys in a process the least recently tried one is forgotten, no other", () => {
  const counts = new TryCounts(() => 0);
  const limits = (key: number) => [{ key: String(key), max: 1 }];
  for (let key = 0; key < 20_000; key++) counts.count(limits(key), "a", MINUTE);
  // After another try the first key is no longer the oldest.
  counts.count(limits(0), "b", MINUTE);
  counts.count(limits(20_000), "c", MINUTE);
  strictEqual(counts.refusalOf(limits(1)), undefined);
  for (const key of [0, 2, 19_999, 20_000]) ok(counts.refusalOf(limits(key)), String(key));
});
