import { ok, strictEqual } from "node:assert/strict";
import { bucketOf, BUCKETS, chooseSide } from "./choose.ts";

const bearer = (claims: unknown) => {
  const part = (value: unknown) => btoa(JSON.stringify(value)).replace(/=+$/, "");
  return `Bearer ${part({ alg: "EdDSA" })}.${part(claims)}.c2ln`;
};

Deno.test("a canary of n % is the first n % of the buckets; the other modes ask for no bucket", () => {
  for (const percent of [1, 10, 50, 99]) {
    const mode = { name: "canary", percent } as const;
    const chosen = Array.from({ length: BUCKETS }, (_, bucket) => chooseSide(mode, bucket));
    strictEqual(chosen.lastIndexOf("service"), percent * BUCKETS / 100 - 1);
    strictEqual(chosen.indexOf("legacy"), percent * BUCKETS / 100);
  }
  for (const bucket of [0, BUCKETS - 1]) {
    strictEqual(chooseSide({ name: "legacy" }, bucket), "legacy");
    strictEqual(chooseSide({ name: "shadow" }, bucket), "legacy");
    strictEqual(chooseSide({ name: "service" }, bucket), "service");
  }
});

Deno.test("a user is in one bucket from any address, with any token", () => {
  const first = bucketOf(bearer({ sub: "u-1", jti: "a" }), "192.0.2.1");
  strictEqual(bucketOf(bearer({ sub: "u-1", jti: "b" }), "192.0.2.2"), first);
  strictEqual(bucketOf(bearer({ sub: "u-1" }).replace("Bearer", "bearer"), "::1"), first);
});

const WITHOUT_USER: [what: string, authorization: string | undefined][] = [
  ["no token", undefined],
  ["the old server's token", "Bearer mock-jwt-token-for-mode-c"],
  ["another scheme", "Basic dTpw"],
  ["no JSON in it", "Bearer a.bm8.c"],
  ["no subject", bearer({ iss: "x" })],
  ["a subject that is no text", bearer({ sub: 7 })],
  ["null", bearer(null)],
  ["a token that is too long", bearer({ sub: "u-1", fill: "x".repeat(5_000) })],
];

for (const [what, authorization] of WITHOUT_USER) {
  Deno.test(`a client with ${what} goes by its address`, () => {
    const bucket = bucketOf(authorization, "192.0.2.1");
    strictEqual(bucket, bucketOf(undefined, "192.0.2.1"));
    ok(bucket !== bucketOf(undefined, "192.0.2.2"));
  });
}

Deno.test("a user whose name is an address isn't that address", () => {
  ok(bucketOf(bearer({ sub: "192.0.2.1" }), "::1") !== bucketOf(undefined, "192.0.2.1"));
});

Deno.test("users and neighbouring addresses are spread evenly over the buckets", () => {
  const kinds: [string, (at: number) => number][] = [
    ["users", (at) => bucketOf(bearer({ sub: `user-${at}` }), "::1")],
    ["addresses", (at) => bucketOf(undefined, `10.0.${at >> 8}.${at & 255}`)],
  ];
  for (const [what, bucket] of kinds) {
    const tenths = new Array<number>(10).fill(0);
    for (let at = 0; at < 10_000; at++) {
      const tenth = Math.floor(bucket(at) / (BUCKETS / 10));
      tenths[tenth] = (tenths[tenth] ?? 0) + 1;
    }
    ok(tenths.every((count) => count > 850 && count < 1_150), `${what}: ${tenths}`);
  }
});
