import { strictEqual } from "node:assert/strict";
import { VerifiedTokens } from "./verified_tokens.ts";

const claims = (exp: number) => ({ sub: "s", role: null, jti: "j", iat: 1, exp });

Deno.test("a token is known until it expires", () => {
  const tokens = new VerifiedTokens();
  tokens.add("a", claims(100));
  strictEqual(tokens.get("a", 99)?.exp, 100);
  strictEqual(tokens.get("a", 100), undefined);
  // An expired token is removed, not only hidden.
  strictEqual(tokens.get("a", 99), undefined);
  strictEqual(tokens.get("b", 99), undefined);
});

Deno.test("of 10,001 tokens the one that was added first is forgotten", () => {
  const tokens = new VerifiedTokens();
  for (let i = 0; i <= 10_000; i++) tokens.add(String(i), claims(100));
  strictEqual(tokens.get("0", 1), undefined);
  for (const i of [1, 5_000, 10_000]) strictEqual(tokens.get(String(i), 1)?.exp, 100);
});

Deno.test("no token is known after a clear", () => {
  const tokens = new VerifiedTokens();
  tokens.add("a", claims(100));
  tokens.clear();
  strictEqual(tokens.get("a", 1), undefined);
});
