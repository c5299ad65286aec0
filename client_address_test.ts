import { deepStrictEqual, ok } from "node:assert/strict";
import { Random } from "./dev/random.ts";
import { createClientReader } from "./client_address.ts";

const PROXY = "10.0.0.1";

function read(trusted: string[], peer: string, headers: Record<string, string> = {}) {
  return createClientReader(trusted)(new Request("http://x/", { headers }), peer);
}

Deno.test("without trusted proxies the peer is the client, and its headers are ignored", () => {
  const headers = { "x-forwarded-for": "192.0.2.7", "x-forwarded-proto": "https" };
  deepStrictEqual(read([], "198.51.100.2", headers), { address: "198.51.100.2", secure: false });
  deepStrictEqual(read([], "::ffff:198.51.100.2"), { address: "198.51.100.2", secure: false });
  deepStrictEqual(read([], "2001:DB8:0::1"), { address: "2001:db8::1", secure: false });
});

Deno.test("a peer that isn't trusted can't forge an address or TLS", () => {
  const headers = { "x-forwarded-for": "192.0.2.7", "x-forwarded-proto": "https" };
  for (const trusted of [[PROXY], ["10.0.0.0/8"], ["2001:db8::/32"], ["198.51.100.3"]]) {
    deepStrictEqual(read(trusted, "198.51.100.2", headers), {
      address: "198.51.100.2",
      secure: false,
    });
  }
});

const CASES: [what: string, forwarded: string, client: string][] = [
  ["one address", "192.0.2.7", "192.0.2.7"],
  ["spaces around it", "  192.0.2.7 ", "192.0.2.7"],
  ["what the client forged before it", "1.1.1.1, 2.2.2.2, 192.0.2.7", "192.0.2.7"],
  ["a trusted proxy behind it", "192.0.2.7, 10.0.0.2", "192.0.2.7"],
  ["two of them", "1.1.1.1, 192.0.2.7, 10.0.0.3, 10.0.0.2", "192.0.2.7"],
  ["none but trusted ones", "10.0.0.9, 10.0.0.2", "10.0.0.9"],
  ["a trusted one that the client forged", "10.0.0.9, 192.0.2.7", "192.0.2.7"],
  ["a port", "192.0.2.7:51234", "192.0.2.7"],
  ["IPv6", "2001:DB8::7", "2001:db8::7"],
  ["IPv6 in brackets", "[2001:db8::7]", "2001:db8::7"],
  ["IPv6 in brackets with a port", "[2001:db8::7]:443", "2001:db8::7"],
  ["an IPv4 address written as IPv6", "::ffff:192.0.2.7", "192.0.2.7"],
  ["a trusted one written as IPv6", "192.0.2.7, ::ffff:10.0.0.2", "192.0.2.7"],
  ["a zone", "fe80::7%eth0", "fe80::7"],
  ["nothing", "", PROXY],
  ["a name", "unknown", PROXY],
  ["a name before a trusted one", "unknown, 10.0.0.2", "10.0.0.2"],
  ["a name after an address", "192.0.2.7, unknown", PROXY],
  ["an empty entry", "192.0.2.7,", PROXY],
  ["a number", "3221226000", PROXY],
  ["octal digits", "0300.0.2.7", PROXY],
  ["a network", "192.0.2.0/24", PROXY],
  ["a script", "<script>", PROXY],
];

for (const [what, forwarded, client] of CASES) {
  Deno.test(`behind a trusted proxy, X-Forwarded-For with ${what} means ${client}`, () => {
    const { address } = read(["10.0.0.0/8"], PROXY, { "x-forwarded-for": forwarded });
    deepStrictEqual(address, client);
  });
}

Deno.test("a trusted network can be written in any form", () => {
  const forwarded = { "x-forwarded-for": "192.0.2.7" };
  const cases: [trusted: string, peer: string][] = [
    ["10.0.0.1", "::ffff:10.0.0.1"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["::ffff:10.0.0.0/104", "10.1.2.3"],
    ["2001:db8::/32", "2001:db8:1::5"],
    ["::1", "0:0:0:0:0:0:0:1"],
    ["127.0.0.0/8", "127.1.2.3"],
  ];
  for (const [trusted, peer] of cases) {
    deepStrictEqual(read([trusted], peer, forwarded).address, "192.0.2.7", `${trusted} ${peer}`);
  }
});

Deno.test("of a chain of proxies no more than 20 are followed", () => {
  const hops = Array.from({ length: 30 }, (_, i) => `10.1.0.${i}`);
  const forwarded = ["192.0.2.7", ...hops].join(", ");
  deepStrictEqual(
    read(["10.0.0.0/8"], PROXY, { "x-forwarded-for": forwarded }).address,
    "10.1.0.10",
  );
});

Deno.test("the last value of a trusted proxy's header decides whether the client came over TLS", () => {
  const cases: [proto: string, secure: boolean][] = [
    ["https", true],
    ["HTTPS", true],
    ["http, https", true],
    ["https, http", false],
    ["http", false],
    ["", false],
    ["https;", false],
  ];
  for (const [proto, secure] of cases) {
    const client = read([PROXY], PROXY, { "x-forwarded-proto": proto });
    deepStrictEqual(client, { address: PROXY, secure }, proto);
  }
});

Deno.test("a peer that is no IP address is used unchanged", () => {
  const headers = { "x-forwarded-for": "192.0.2.7" };
  deepStrictEqual(read([PROXY], "somewhere", headers).address, "somewhere");
  deepStrictEqual(read([], "somewhere", headers).address, "somewhere");
});

Deno.test("no header causes an error or an address that wasn't in it", () => {
  const random = new Random(7);
  const parts = [
    "10.0.0.2",
    "192.0.2.7",
    "1.1.1",
    "999",
    "0x7f.1",
    "::1",
    "fe80::1",
    "%eth0",
    "/8",
    "[",
    "]",
    ":",
    ",",
    " ",
    "x",
  ] as const;
  const reader = createClientReader(["10.0.0.0/8", "::1"]);
  for (let i = 0; i < 5_000; i++) {
    const value = Array.from({ length: 1 + random.next() * 8 }, () => random.pick(parts)).join("");
    const request = new Request("http://x/", { headers: { "x-forwarded-for": value } });
    const { address } = reader(request, PROXY);
    ok(address === PROXY || /^[\d.]+$|^[\da-f:]+$/.test(address), `${value} → ${address}`);
  }
});
