import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { AccountState } from "../db/revocations.ts";
import { TokenStates } from "./token_states.ts";
import type { Claims } from "./claims.ts";

const MINUTE = 60_000;

function claims(more: Partial<Claims> = {}): Claims {
  return {
    sub: crypto.randomUUID(),
    role: "VIEWER",
    jti: crypto.randomUUID(),
    iat: 1_000,
    exp: 3_000,
    ...more,
  };
}

const stateOf = (userId: string, more: Partial<AccountState> = {}): AccountState => ({
  userId,
  exists: true,
  role: "VIEWER",
  disabled: false,
  tokensFrom: null,
  version: "1",
  ...more,
});

/** Reads these tokens, and finds their accounts valid. */
function learn(known: TokenStates, tokens: readonly Claims[]): void {
  const reading = known.read(tokens);
  known.finish(reading, { accounts: tokens.map(({ sub }) => stateOf(sub)), tokens: [] });
}

Deno.test("at most 10,000 tokens and their accounts are read again, however many are sent", () => {
  const known = new TokenStates(() => 0);
  const tokens = Array.from({ length: 10_001 }, () => claims());
  for (const token of tokens) learn(known, [token]);
  const parts = known.readAll();
  deepStrictEqual(
    parts.map(({ accounts, tokens }) => [accounts.length, tokens.length]),
    Array(10).fill([1_000, 1_000]),
  );
  strictEqual(new Set(parts.flatMap(({ tokens }) => tokens)).size, 10_000);
  const [first, second] = tokens;
  strictEqual(first && known.stateOf(first), "unknown");
  strictEqual(second && known.stateOf(second), "good");
});

Deno.test("a token that wasn't sent for ten minutes isn't read again, and is then unknown", () => {
  let now = 1;
  const known = new TokenStates(() => now);
  const [used, unused] = [claims(), claims()];
  learn(known, [used, unused]);
  now = 6 * MINUTE;
  known.stateOf(used);
  now = 11 * MINUTE;
  deepStrictEqual(known.readAll().map(({ tokens }) => tokens), [[used.jti]]);
  strictEqual(known.stateOf(unused), "unknown");
});

Deno.test("an older read changes nothing that a newer one or an announcement reported", () => {
  const known = new TokenStates(() => 0);
  const token = claims();
  learn(known, [token]);
  const [old] = known.readAll();
  const newer = known.read([token]);
  known.finish(newer, { accounts: [stateOf(token.sub, { disabled: true })], tokens: [] });
  ok(old);
  known.finish(old, { accounts: [stateOf(token.sub, { role: "ADMIN" })], tokens: [] });
  strictEqual(known.stateOf(token), "disabled");

  const [before] = known.readAll();
  ok(before);
  known.apply({
    kind: "account",
    userId: token.sub,
    disabled: false,
    tokensFrom: 2_000,
  });
  known.finish(before, { accounts: [stateOf(token.sub)], tokens: [] });
  strictEqual(known.stateOf(token), "ended");
});

Deno.test("after an announcement about an account the next read returns its whole state", () => {
  const known = new TokenStates(() => 0);
  const token = claims();
  learn(known, [token]);
  strictEqual(known.readAll()[0]?.accounts[0]?.version, "1");
  known.apply({ kind: "account", userId: token.sub, disabled: true, tokensFrom: null });
  strictEqual(known.readAll()[0]?.accounts[0]?.version, "");
});

Deno.test("an announcement during the first read of a token causes a second read", () => {
  const known = new TokenStates(() => 0);
  const token = claims();
  const reading = known.read([token]);
  known.apply({ kind: "account", userId: token.sub, disabled: true, tokensFrom: null });
  known.finish(reading, { accounts: [stateOf(token.sub)], tokens: [] });
  strictEqual(known.stateOf(token), "unknown");
  learn(known, [token]);
  strictEqual(known.stateOf(token), "good");

  const other = claims();
  const first = known.read([other]);
  known.apply({ kind: "token", tokenId: other.jti, expiresAt: 3_000 });
  known.finish(first, { accounts: [stateOf(other.sub)], tokens: [] });
  strictEqual(known.stateOf(other), "logged_out");
});

Deno.test("the result of a read decides: account, time of issue, role, revocation", () => {
  const found: [more: Partial<AccountState>, state: string][] = [
    [{}, "good"],
    [{ exists: false, disabled: true }, "no_account"],
    [{ disabled: true, tokensFrom: 2_000 }, "disabled"],
    [{ tokensFrom: 1_000 }, "good"],
    [{ tokensFrom: 1_001, role: "ADMIN" }, "ended"],
    [{ role: "ADMIN" }, "other_role"],
    [{ role: null }, "other_role"],
  ];
  for (const [more, state] of found) {
    const known = new TokenStates(() => 0);
    const token = claims();
    known.finish(known.read([token]), { accounts: [stateOf(token.sub, more)], tokens: [] });
    strictEqual(known.stateOf(token), state, JSON.stringify(more));
  }
  const known = new TokenStates(() => 0);
  const [ended, other] = [claims(), claims()];
  const accounts = [stateOf(ended.sub), stateOf(other.sub)];
  known.finish(known.read([ended, other]), { accounts, tokens: [ended.jti] });
  deepStrictEqual([known.stateOf(ended), known.stateOf(other)], ["logged_out", "good"]);
  // It isn't read again, and nothing restores it.
  deepStrictEqual(known.readAll().map(({ tokens }) => tokens), [[other.jti]]);
  const again = known.read([ended]);
  strictEqual(known.stateOf(ended), "logged_out");
  known.finish(again, { accounts, tokens: [] });
  strictEqual(known.stateOf(ended), "logged_out");
});

Deno.test("a state is used for 15 seconds after the older of its two reads began", () => {
  let now = 0;
  const known = new TokenStates(() => now);
  const token = claims();
  const sibling = claims({ sub: token.sub });
  learn(known, [token]);
  now = 10_000;
  strictEqual(known.stateOf(sibling), "unknown", "it was never sent");
  // The other token's own read is unfinished, though its account is known.
  const first = known.read([sibling]);
  strictEqual(known.stateOf(sibling), "unknown");
  strictEqual(known.stateOf(token), "good", "a read that has begun removes nothing");
  known.finish(first, { accounts: [stateOf(token.sub)], tokens: [] });
  now = 15_000;
  deepStrictEqual([known.stateOf(token), known.stateOf(sibling)], ["good", "good"]);
  now = 15_001;
  deepStrictEqual([known.stateOf(token), known.stateOf(sibling)], ["unknown", "good"]);
  now = 25_001;
  strictEqual(known.stateOf(sibling), "unknown");
});

Deno.test("an older read that ends after a newer one doesn't make the state older", () => {
  let now = 0;
  const known = new TokenStates(() => now);
  const token = claims();
  const slow = known.read([token]);
  now = 10_000;
  learn(known, [token]);
  known.finish(slow, { accounts: [stateOf(token.sub)], tokens: [] });
  now = 25_000;
  strictEqual(known.stateOf(token), "good");
});

Deno.test("an account stays known for as long as one of its tokens is sent", () => {
  let now = 1;
  const known = new TokenStates(() => now);
  const [used, unused] = [claims(), claims()];
  learn(known, [used, unused]);
  now = 10 * MINUTE + 1;
  known.stateOf(used);
  deepStrictEqual(known.readAll()[0]?.accounts.length, 2, "after ten minutes, to the letter");
  now = 10 * MINUTE + 2;
  deepStrictEqual(known.readAll()[0]?.accounts.map(({ userId }) => userId), [used.sub]);
});
