import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { bucketBy, bucketOf, BUCKETS, chooseUpstream, type ClientTraits } from "./canary.ts";

const bearer = (claims: unknown) => {
  const part = (value: unknown) => btoa(JSON.stringify(value)).replace(/=+$/, "");
  return `Bearer ${part({ alg: "EdDSA" })}.${part(claims)}.c2ln`;
};

Deno.test("a canary of n % is the first n % of the buckets; the other modes need no bucket", () => {
  for (const percent of [1, 10, 50, 99]) {
    const mode = { name: "canary", percent } as const;
    const chosen = Array.from({ length: BUCKETS }, (_, bucket) => chooseUpstream(mode, bucket));
    strictEqual(chosen.lastIndexOf("service"), percent * BUCKETS / 100 - 1);
    strictEqual(chosen.indexOf("legacy"), percent * BUCKETS / 100);
  }
  for (const bucket of [0, BUCKETS - 1]) {
    strictEqual(chooseUpstream({ name: "legacy" }, bucket), "legacy");
    strictEqual(chooseUpstream({ name: "shadow" }, bucket), "legacy");
    strictEqual(chooseUpstream({ name: "service" }, bucket), "service");
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
  Deno.test(`a client with ${what} is identified by its address`, () => {
    const bucket = bucketOf(authorization, "192.0.2.1");
    strictEqual(bucket, bucketOf(undefined, "192.0.2.1"));
    ok(bucket !== bucketOf(undefined, "192.0.2.2"));
  });
}

Deno.test("a release moves no client from one bucket to another", () => {
  strictEqual(bucketOf(bearer({ sub: "u-1" }), "::1"), 4014);
  strictEqual(bucketOf(undefined, "192.0.2.1"), 2808);
  strictEqual(bucketOf(undefined, "2001:db8::1"), 5872);
});

Deno.test("a user whose name is an address differs from that address", () => {
  ok(bucketOf(bearer({ sub: "192.0.2.1" }), "::1") !== bucketOf(undefined, "192.0.2.1"));
});

const NO_TRAITS: ClientTraits = {
  authorization: undefined,
  address: "10.0.0.1",
  header: () => undefined,
  isSafe: true,
};
const terminals = (name: string) => ({
  header: (requested: string) => requested === "x-terminal" ? name : undefined,
});

/** An unlimited sequence of clients of one kind. */
const KINDS: [what: string, bucket: (at: number) => number][] = [
  ["accounts", (at) => bucketOf(bearer({ sub: `user-${at}` }), "::1")],
  [
    "accounts with ids",
    (at) =>
      bucketOf(bearer({ sub: `0b8f5a3e-0000-4000-8000-${String(at).padStart(12, "0")}` }), "::1"),
  ],
  ["neighbours in a network of IPv4", (at) => bucketOf(undefined, `10.0.${at >> 8}.${at & 255}`)],
  ["networks of IPv4", (at) => bucketOf(undefined, `${10 + (at >> 8)}.${at & 255}.0.1`)],
  ["neighbours in a network of IPv6", (at) => bucketOf(undefined, `2001:db8::${at.toString(16)}`)],
  [
    "networks of IPv6",
    (at) => bucketOf(undefined, `2001:db8:${(at >> 8).toString(16)}:${(at & 255).toString(16)}::1`),
  ],
  [
    "values of a header",
    (at) => bucketBy({ header: "x-terminal" }, { ...NO_TRAITS, ...terminals(`scale-${at}`) }),
  ],
  ["requests", () => bucketBy("request", NO_TRAITS)],
];
const CLIENTS = 20_000;

for (const [what, bucket] of KINDS) {
  Deno.test(`of many ${what}, a canary of 1, 5, 25 and 50 % moves its share`, () => {
    const buckets = Array.from({ length: CLIENTS }, (_, at) => bucket(at));
    for (const percent of [1, 5, 25, 50]) {
      const mode = { name: "canary", percent } as const;
      const moved = buckets.filter((one) => chooseUpstream(mode, one) === "service").length;
      const expected = CLIENTS * percent / 100;
      // Five standard deviations: a fair choice exceeds them once in a million tries.
      const spread = 5 * Math.sqrt(expected * (1 - percent / 100));
      ok(Math.abs(moved - expected) < spread, `${moved} instead of ${expected} at ${percent} %`);
    }
  });
}

Deno.test("a greater share only adds clients", () => {
  const buckets = Array.from(
    { length: 3_000 },
    (_, at) => bucketOf(undefined, `10.0.${at >> 8}.${at & 255}`),
  );
  let before = new Set<number>();
  for (let percent = 1; percent < 100; percent++) {
    const moved = new Set(
      buckets.filter((one) => chooseUpstream({ name: "canary", percent }, one) === "service"),
    );
    ok([...before].every((one) => moved.has(one)), `${percent} %`);
    before = moved;
  }
});

Deno.test("a client is identified by the operator's choice: account, address, or a header", () => {
  const token = bearer({ sub: "u-1" });
  const at = (address: string, name = "") => ({
    ...NO_TRAITS,
    authorization: token,
    address,
    ...terminals(name),
  });
  const ofUser = bucketOf(token, "");
  const ofAddress = bucketOf(undefined, "10.0.0.1");
  strictEqual(bucketBy("client", at("10.0.0.1", "scale-1")), ofUser);
  strictEqual(bucketBy("address", at("10.0.0.1", "scale-1")), ofAddress);
  const by = { header: "x-terminal" };
  const ofScale = bucketBy(by, at("10.0.0.1", "scale-1"));
  strictEqual(bucketBy(by, { ...at("10.0.0.2", "scale-1"), authorization: undefined }), ofScale);
  ok(ofScale !== bucketBy(by, at("10.0.0.1", "scale-2")));
  strictEqual(bucketBy({ header: "x-other" }, at("10.0.0.1", "scale-1")), ofUser, "without it");
  ok(bucketBy(by, { ...NO_TRAITS, ...terminals("10.0.0.1") }) !== ofAddress);
});

Deno.test("by request, reads of one client go to either upstream, and its writes to one", () => {
  const buckets = (isSafe: boolean) =>
    new Set(Array.from({ length: 50 }, () => bucketBy("request", { ...NO_TRAITS, isSafe })));
  ok(buckets(true).size > 40);
  deepStrictEqual([...buckets(false)], [bucketOf(undefined, "10.0.0.1")]);
});
