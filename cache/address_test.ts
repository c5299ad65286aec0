import { deepStrictEqual, ok, throws } from "node:assert/strict";
import { AddressError } from "../db/address_text.ts";
import { parseValkeyAddress, type ValkeyAddress } from "./address.ts";

const BASE: ValkeyAddress = { tls: false, host: "h", port: 6379, database: 0 };

for (
  const [address, difference] of [
    ["redis://h", {}],
    ["valkey://h:6379/", {}],
    ["REDIS://h:/0", {}],
    ["rediss://h", { tls: true }],
    ["valkeys://h:6380/3", { tls: true, port: 6380, database: 3 }],
    ["redis://h/2147483647", { database: 2_147_483_647 }],
    ["redis://cache-1.plant_x.example", { host: "cache-1.plant_x.example" }],
    ["redis://10.0.0.7", { host: "10.0.0.7" }],
    ["redis://[::1]:6380", { host: "::1", port: 6380 }],
    ["redis://:p@h", { password: "p" }],
    ["redis://u:p@h", { user: "u", password: "p" }],
    ["redis://u%40x:p%25%3A%2F%3F%23@h", { user: "u@x", password: "p%:/?#" }],
    // The client has accepted these so far.
    ["redis://:p@p:q@h", { password: "p@p:q" }],
    ["redis://:p&=+ ä@h", { password: "p&=+ ä" }],
    ["redis://@h", {}],
    ["redis://:@h", {}],
  ] as [string, Partial<ValkeyAddress>][]
) {
  Deno.test(`the address ${address} of Valkey is parsed`, () => {
    deepStrictEqual(parseValkeyAddress(address), { ...BASE, ...difference });
  });
}

const SCHEME =
  "expected redis://, rediss://, valkey:// or valkeys://, such as redis://localhost:6379";
const SOCKET = "Unix sockets are not supported: give a host and a port";
const SENTINEL =
  "Sentinel is not supported: give the address of the primary, or of a proxy that leads to it";
const CLUSTER = "a cluster is not supported: give the address of one server without cluster mode";
const HEX = "has a % without two hexadecimal digits behind it: write it as %25";
const HOST = "the host must be a name or an IP address, an IPv6 one in brackets";
const PORT = "the port must be a number from 1 to 65535";
const SLASH = "it has an @ behind a /: in a password / is written as %2F";
const DATABASE = "the database must be a number, such as /3 at the end of the address";
const NO_PARAMETERS = "is not supported: an address of Valkey has no parameters";
const QUESTION_MARK =
  "it has a ?: in a password it is written as %3F, and an address of Valkey has no parameters";
const PASSWORD = "it has a user without a password: a password alone is written as :password@";

const REFUSED: [address: string, sentence: string][] = [
  ["", SCHEME],
  ["cache:6379", SCHEME],
  ["http://cache", SCHEME],
  ["redis:h", SCHEME],
  [" redis://h", SCHEME],
  ["unix:///run/valkey.sock", SOCKET],
  ["unix:/run/valkey.sock", SOCKET],
  ["/run/valkey.sock", SOCKET],
  ["redis+unix:///run/valkey.sock", SOCKET],
  ["redis-socket:///run/valkey.sock", SOCKET],
  ["redis:///run/valkey.sock", SOCKET],
  ["redis://%2Frun%2Fvalkey.sock", SOCKET],
  ["redis-sentinel://h:26379/primary", SENTINEL],
  ["rediss+sentinel://h", SENTINEL],
  ["redis-cluster://h", CLUSTER],
  ["redis+cluster://h", CLUSTER],
  ["redis://h1:6379,h2:6379", CLUSTER],
  ["redis://:50%@h", `the password ${HEX}`],
  ["redis://u%zz:p@h", `the user ${HEX}`],
  ["redis://:p%00@h", "the password has a zero byte"],
  ["redis://:%ff@h", "the password has percent-encoded bytes that are not UTF-8"],
  ["redis://u@h", PASSWORD],
  ["redis://u:@h", PASSWORD],
  ["redis://", HOST],
  ["redis:///3", HOST],
  ["redis://:6379", HOST],
  ["redis://::1", HOST],
  ["redis://[h]", HOST],
  ["redis://[::1%25eth0]", HOST],
  ["redis://[::1", HOST],
  ["redis://h h", HOST],
  ["redis://h:0", PORT],
  ["redis://h:65536", PORT],
  ["redis://h:x", PORT],
  ["redis://:p/x@h", SLASH],
  ["redis://h/x", DATABASE],
  ["redis://h/-1", DATABASE],
  ["redis://h/1.5", DATABASE],
  ["redis://h/2147483648", DATABASE],
  ["redis://h/1/2", DATABASE],
  ["redis://:1/x@h", SLASH],
  ["redis://h?db=3", `db ${NO_PARAMETERS}`],
  ["rediss://h/0?ssl_cert_reqs=none", `ssl_cert_reqs ${NO_PARAMETERS}`],
  ["redis://h?", QUESTION_MARK],
  ["redis://:p?x@h", QUESTION_MARK],
  ["redis://:p#x@h", "it has a #: in a password it is written as %23"],
  [`redis://${"h".repeat(8_192)}`, "it is longer than 8192 characters"],
];

for (const [address, sentence] of REFUSED) {
  Deno.test(`the address ${address.slice(0, 50)} of Valkey is refused: ${sentence}`, () => {
    throws(() => parseValkeyAddress(address), new AddressError(sentence));
  });
}

Deno.test("an address of Valkey is refused without its password, wherever it is cut", () => {
  const address = "rediss://user:hunter2@cache.example:6380/3?x=1";
  for (let end = 0; end <= address.length; end++) {
    for (const piece of [..."@/?#:%[], \0", "%zz"]) {
      const text = address.slice(0, end) + piece + address.slice(end);
      try {
        parseValkeyAddress(text);
      } catch (error) {
        ok(error instanceof AddressError, `${text}: ${error}`);
        ok(!error.message.includes("hunter2"), error.message);
      }
    }
  }
});
