import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { makeAuthority } from "../testing/certificates.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { matchesHost, readNames } from "./certificate_names.ts";

const folder = await temporaryFolder();
Deno.test.afterAll(async () => await folder[Symbol.asyncDispose]());
const authority = await makeAuthority(folder.path);

async function certificate(commonName: string, ...names: string[]): Promise<Uint8Array> {
  const { cert } = await authority.issue({ commonName, names });
  return new X509Certificate(await Deno.readTextFile(cert)).raw;
}

const mixed = await certificate(
  "common.test",
  "DNS:db.test",
  "DNS:*.pool.test",
  "IP:127.0.0.1",
  "IP:2001:db8::1",
);
const onlyCommonName = await certificate("db.test");
const commonIp = await certificate("10.0.0.1");
const onlyIp = await certificate("db.test", "IP:10.0.0.1");
const onlyName = await certificate("10.0.0.1", "DNS:db.test");
const ipAsName = await certificate("x", "DNS:10.0.0.1", "DNS:*.0.0.2");
const comma = await certificate("x", "DNS:a, IP Address:10.0.0.1");

const CASES: readonly [what: string, der: Uint8Array, host: string, matches: boolean][] = [
  ["a name", mixed, "db.test", true],
  ["a name in capitals", mixed, "DB.Test", true],
  ["another name", mixed, "other.test", false],
  ["a name below it", mixed, "a.db.test", false],
  ["the common name beside names", mixed, "common.test", false],
  ["a label for the *", mixed, "one.pool.test", true],
  ["two labels for the *", mixed, "a.one.pool.test", false],
  ["no label for the *", mixed, "pool.test", false],
  ["an empty label for the *", mixed, ".pool.test", false],
  ["the * itself", mixed, "*.pool.test", true],
  ["an IPv4 address", mixed, "127.0.0.1", true],
  ["another IPv4 address", mixed, "127.0.0.2", false],
  ["an IPv6 address", mixed, "2001:db8::1", true],
  ["the same, written out", mixed, "2001:0DB8:0:0:0:0:0:1", true],
  ["another IPv6 address", mixed, "2001:db8::2", false],
  ["the common name without names", onlyCommonName, "db.test", true],
  ["an IP address against a common name", commonIp, "10.0.0.1", true],
  ["a common name beside an IP address, by name", onlyIp, "db.test", true],
  ["a common name beside an IP address, by IP", onlyIp, "10.0.0.2", false],
  ["an IP address in the common name beside a name", onlyName, "10.0.0.1", true],
  ["an IP address as a name", ipAsName, "10.0.0.1", true],
  ["a * for a part of an IP address", ipAsName, "10.0.0.2", false],
  ["an IP address inside a name with a comma", comma, "10.0.0.1", false],
];

for (const [what, der, host, matches] of CASES) {
  Deno.test(`${what}: ${matches ? "matches" : "does not match"}`, () => {
    strictEqual(matchesHost(host, der), matches);
  });
}

Deno.test("all names of a certificate are read", () => {
  deepStrictEqual(readNames(mixed), {
    dns: ["db.test", "*.pool.test"],
    ips: ["7f000001", "20010db8000000000000000000000001"],
    commonName: "common.test",
  });
});

Deno.test("a certificate that is cut off is refused, wherever it is", () => {
  for (let length = 0; length < mixed.length; length++) {
    throws(() => readNames(mixed.subarray(0, length)), RangeError);
  }
});
