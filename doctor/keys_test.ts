import { deepStrictEqual } from "node:assert/strict";
import { type KeyAges, readKeyAges } from "../auth/keys.ts";
import type { KeysInFile } from "../auth/key_file.ts";
import { keyFindings } from "./keys.ts";

const NOW = Date.parse("2026-03-01T12:00:00Z");
const since = new Date("2026-02-27T12:00:00Z");
const WELL: KeyAges = { keys: 1, since, unneeded: 0 };

for (
  const [what, ages, expected] of [
    ["a young key", {}, ["ok"]],
    ["a key of 90 days", { since: new Date("2025-12-01T12:00:00Z") }, ["note"]],
    ["a key of a year", { since: new Date("2025-03-01T12:00:00Z") }, ["warning"]],
    ["a key that signs later", { next: new Date("2026-03-01T12:15:00Z") }, ["ok", "note"]],
    ["keys that can be dropped", { keys: 3, unneeded: 2 }, ["ok", "note"]],
  ] as const
) {
  Deno.test(`a key file with ${what}`, () => {
    deepStrictEqual(keyFindings({ ...WELL, ...ages }, NOW).map(({ level }) => level), expected);
  });
}

Deno.test("the age of the signing key is in days", () => {
  const [finding] = keyFindings(WELL, NOW);
  deepStrictEqual(finding?.message, "JWT_KEYS_FILE has 1 key, and its signing key is 2 days old");
});

Deno.test("the first key is as old as its file, another one as the file says", () => {
  const key = {
    ...{ kty: "OKP", crv: "Ed25519", alg: "EdDSA", use: "sig" } as const,
    ...{ kid: "a", x: "x", d: "d" },
  };
  const now = new Date(NOW);
  const ages = (...keys: KeysInFile) => readKeyAges(keys, since, now);
  deepStrictEqual(ages(key), { keys: 1, since, unneeded: 0 });
  const [later, earlier] = ["2026-03-01T13:00:00.000Z", "2026-02-01T00:00:00.000Z"];
  deepStrictEqual(
    ages(
      { ...key, signs_from: later },
      { ...key, signs_from: earlier, retired_at: later },
      { ...key, retired_at: earlier },
      key,
    ),
    { keys: 4, since: new Date(earlier), next: new Date(later), unneeded: 1 },
  );
});
