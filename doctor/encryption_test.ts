import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { parseAddress } from "../db/address.ts";
import { encryptionFindings, expiryFinding, valkeyEncryption } from "./encryption.ts";

const CONNECTIONS: readonly [
  what: string,
  address: string,
  tls: string | undefined,
  level: string,
][] = [
  ["loopback", "postgres://u@127.0.0.1/d", undefined, "ok"],
  ["loopback in IPv6", "postgres://u@[::1]/d", undefined, "ok"],
  ["localhost", "postgres://u@localhost/d", undefined, "ok"],
  ["a unix socket", "postgres://u@/d?host=/run/postgresql", undefined, "ok"],
  ["plain text", "postgres://u@db.example/d", undefined, "warning"],
  ["plain text to one of two hosts", "postgres://u@localhost,db.example/d", undefined, "warning"],
  ["an unchecked certificate", "postgres://u@db.example/d?sslmode=require", "TLSv1.3", "warning"],
  [
    "an unchecked name",
    "postgres://u@db.example/d?sslmode=verify-ca&sslrootcert=/ca",
    "TLSv1.3",
    "warning",
  ],
  [
    "a checked certificate",
    "postgres://u@db.example/d?sslmode=verify-full&sslrootcert=/ca",
    "TLSv1.3",
    "ok",
  ],
];

for (const [what, address, tls, level] of CONNECTIONS) {
  Deno.test(`a connection with ${what} is ${level}`, () => {
    const [finding] = encryptionFindings(parseAddress(address), tls);
    deepStrictEqual([finding?.check, finding?.level], ["encryption", level]);
    strictEqual(finding?.todo !== undefined, level !== "ok");
  });
}

Deno.test("a certificate is a warning 30 days before its end, and a failure after it", () => {
  const now = Date.parse("2026-03-01T12:00:00Z");
  const levels = ["2026-02-28", "2026-03-02", "2026-03-30", "2026-04-01"].map((day) =>
    expiryFinding("certificates", "It", new Date(`${day}T12:00:00Z`), now).level
  );
  deepStrictEqual(levels, ["failure", "warning", "warning", "ok"]);
});

Deno.test("a Valkey elsewhere without encryption is a note", () => {
  const levels = ["redis://127.0.0.1", "redis://valkey:6379", "rediss://valkey"].map((url) =>
    valkeyEncryption(url).map(({ level }) => level)
  );
  deepStrictEqual(levels, [[], ["note"], []]);
});
