import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { userInfo } from "node:os";
import { type Address, AddressError, parseAddress, safeName, type Tls } from "./address.ts";

const PLAIN: Tls = { mode: "prefer", direct: false, sendsCert: true };
const BASE: Address = {
  hosts: [{ name: "h", port: 5432 }],
  user: "u",
  password: "p",
  database: "d",
  tls: PLAIN,
  target: "any",
  shuffles: false,
  pooler: "none",
  ignored: [],
};

/** How an address without credentials and database is parsed. */
const hosts = (...names: (string | [name: string, port: number])[]): Partial<Address> => ({
  hosts: names.map((one) => typeof one === "string" ? { name: one, port: 5432 } : one)
    .map((one) => Array.isArray(one) ? { name: one[0], port: one[1] } : one),
});
const socket = (folder: string, port = 5432): Partial<Address> => ({
  hosts: [{ name: folder, port, socket: `${folder}/.s.PGSQL.${port}` }],
});
const tls = (part: Partial<Tls>): Partial<Address> => ({ tls: { ...PLAIN, ...part } });

/** Whole addresses, and how they differ from `BASE`. */
const PARTS: [address: string, difference: Partial<Address>][] = [
  ["postgres://u:p@h/d", {}],
  ["postgresql://u:p@h:5432/d", {}],
  ["postgres://u:p@h:/d", {}],
  ["postgres://u:p@h:5433/d", hosts(["h", 5433])],
  ["postgres://u:p@h", { database: "u" }],
  ["postgres://u:p@h/", { database: "u" }],
  ["postgres://u:p@h?", { database: "u" }],
  ["postgres://u:p@h/d?", {}],
  ["postgres://u@h/d", { password: "" }],
  ["postgres://u:@h/d", { password: "" }],
  ["postgres://h/d", { user: userInfo().username, password: "" }],
  ["postgres://:p@h/d", { user: userInfo().username }],
  // Percent-encoded and ordinary characters.
  ["postgres://u%40x:p%3A%2F%3F%23%5B%5D%40%25%26%20x@h/d%2Fe", {
    user: "u@x",
    password: "p:/?#[]@%& x",
    database: "d/e",
  }],
  ["postgres://u:p#?&=:;+$!*'(),p@h/d", { password: "p#?&=:;+$!*'(),p" }],
  ["postgres://u:%C3%A4%E2%82%AC@h/d", { password: "ä€" }],
  ["postgres://u:ä€@h/d", { password: "ä€" }],
  ["postgres://u:p@h/d#e/f", { database: "d#e/f" }],
  [" postgres://u:p@h/d".trim(), {}],
  ["postgres:// u : p @ h / d ", {}],
  // Hosts.
  ["postgres://u:p@db-1.plant.example/d", hosts("db-1.plant.example")],
  ["postgres://u:p@db_1/d", hosts("db_1")],
  ["postgres://u:p@10.0.0.7/d", hosts("10.0.0.7")],
  ["postgres://u:p@[::1]/d", hosts("::1")],
  ["postgres://u:p@[2001:db8::7]:5433/d", hosts(["2001:db8::7", 5433])],
  ["postgres://u:p@/d?host=::1", hosts("::1")],
  ["postgres://u:p@h1,h2,[::1]/d", hosts("h1", "h2", "::1")],
  ["postgres://u:p@h1:5433,h2,h3:5434/d", hosts(["h1", 5433], "h2", ["h3", 5434])],
  ["postgres://u:p@h1%2Ch2/d", hosts("h1", "h2")],
  ["postgres://u:p@h1,h2/d?port=6000", hosts(["h1", 6000], ["h2", 6000])],
  ["postgres://u:p@h1,h2/d?port=6000,6001", hosts(["h1", 6000], ["h2", 6001])],
  ["postgres://u:p@h1,h2/d?port=6000,", hosts(["h1", 6000], "h2")],
  ["postgres://u:p@h/d?port=", {}],
  ["postgres://u:p@a/d?host=h1,h2&port=1,65535", hosts(["h1", 1], ["h2", 65_535])],
  // Sockets.
  ["postgres://u:p@/d?host=/run/postgresql", socket("/run/postgresql")],
  ["postgres://u:p@%2Frun%2Fpostgresql/d", socket("/run/postgresql")],
  ["postgres://u:p@%2Frun%2Fpostgresql:5433/d", socket("/run/postgresql", 5433)],
  ["postgres://u:p@localhost:5433/d?host=/tmp", socket("/tmp", 5433)],
  ["postgres://u:p@/d?host=/tmp&sslmode=verify-full", {
    ...socket("/tmp"),
    ...tls({ mode: "verify-full" }),
  }],
  ["postgres://u:p@/d?host=/tmp,h", { hosts: [...(socket("/tmp").hosts ?? []), ...BASE.hosts] }],
  // A parameter wins over the part before it, and a later one over an earlier one.
  ["postgres:///?host=h&user=u&password=p&dbname=d", {}],
  ["postgres://a:b@c:1/e?host=h&port=5432&user=u&password=p&dbname=d", {}],
  ["postgres://u:p@h/d?dbname=a&dbname=d&", {}],
  ["postgres://u:p@h/d?d%62name=e", { database: "e" }],
  ["postgres://u:p@h/d?hostaddr=10.0.0.7", {
    hosts: [{ name: "h", address: "10.0.0.7", port: 5432 }],
  }],
  ["postgres://u:p@/d?hostaddr=::1", { hosts: [{ name: "::1", address: "::1", port: 5432 }] }],
  ["postgres://u:p@h,h2/d?hostaddr=,10.0.0.7", {
    hosts: [{ name: "h", port: 5432 }, { name: "h2", address: "10.0.0.7", port: 5432 }],
  }],
];

for (const [address, difference] of PARTS) {
  Deno.test(`the address ${address} is parsed as libpq documents it`, () => {
    deepStrictEqual(parseAddress(address), { ...BASE, ...difference });
  });
}

const HEX = "has a % without two hexadecimal digits behind it: write it as %25";
const RAW = "in a password @ is written as %40 and / as %2F";
const PORT =
  "port must be a number from 1 to 65535; a / in a password is written as %2F, and an IPv6 address " +
  "in brackets";
const NO_HOST = "it names no host: write postgres://user@host/database, or host= with a folder";
const SCHEME =
  "expected postgres:// or postgresql://, such as postgres://user:password@host:5432/database";
const NAME = "host must be a name, an IP address or the folder of a socket";

const REFUSED_PARTS: [address: string, sentence: string][] = [
  ["", SCHEME],
  ["plant", SCHEME],
  ["host=h dbname=d", SCHEME],
  ["mysql://u:p@h/d", SCHEME],
  ["jdbc:postgresql://h/d", SCHEME],
  ["POSTGRES://u:p@h/d", SCHEME],
  ["postgres:u:p@h/d", SCHEME],
  [" postgres://u:p@h/d", SCHEME],
  [`postgres://u:p@h/${"d".repeat(8_192)}`, "it is longer than 8192 characters"],
  // Percent signs.
  ["postgres://u:50%@h/d", `the password ${HEX}`],
  ["postgres://u:5%0@h/d", `the password ${HEX}`],
  ["postgres://u:%zz@h/d", `the password ${HEX}`],
  ["postgres://u%:p@h/d", `the user ${HEX}`],
  ["postgres://u:p@h%/d", `the host ${HEX}`],
  ["postgres://u:p@h:1%/d", `the port ${HEX}`],
  ["postgres://u:p@h/d%", `the database ${HEX}`],
  ["postgres://u:p@h/d?sslmode=%", `sslmode ${HEX}`],
  ["postgres://u:p@h/d?%=1", `a parameter's name ${HEX}`],
  ["postgres://u:p%00@h/d", "the password has a zero byte"],
  ["postgres://u:p\0@h/d", "the password has a zero byte"],
  ["postgres://u:%ff@h/d", "the password has percent-encoded bytes that are not UTF-8"],
  ["postgres://u:p p@h/d", "the password has a space: write it as %20"],
  // What would be another server than the one that was meant.
  ["postgres://u:p@x@h/d", `the host has an @: ${RAW}`],
  ["postgres://u:p@x/y@h/d", `the database has an @: ${RAW}`],
  ["postgres://u:p@x?y@h/d", "a parameter has no = behind its name"],
  ["postgres://u:p/x@h/d", `the database has an @: ${RAW}`],
  ["postgres://u:p/x", PORT],
  ["postgres://u:1/x@h/d", `the database has an @: ${RAW}`],
  // Hosts and ports.
  ["postgres://u:p@/d", NO_HOST],
  ["postgres://", NO_HOST],
  ["postgres://u:p@h,,h2/d", NO_HOST],
  ["postgres://u:p@h,/d", NO_HOST],
  ["postgres://u:p@:5432/d", NO_HOST],
  ["postgres://u:p@h/d?host=", NO_HOST],
  ["postgres://u:p@h:0/d", PORT],
  ["postgres://u:p@h:65536/d", PORT],
  ["postgres://u:p@h:x/d", PORT],
  ["postgres://u:p@h:-1/d", PORT],
  ["postgres://u:p@::1/d", PORT],
  ["postgres://u:p@h1:1,h2:x/d", PORT],
  ["postgres://u:p@h/d?port=1,2", "port has 2 numbers for 1 hosts"],
  ["postgres://u:p@h1,h2,h3/d?port=1,2", "port has 2 numbers for 3 hosts"],
  ["postgres://u:p@[::1/d", PORT],
  ["postgres://u:p@[]/d", NAME],
  ["postgres://u:p@[::1]x/d", PORT],
  ["postgres://u:p@[fe80::1%25eth0]/d", NAME],
  ["postgres://u:p@[fe80::1%eth0]/d", `the host ${HEX}`],
  ["postgres://u:p@/d?host=@abstract", NAME],
  ["postgres://u:p@/d?host=[::1]", NAME],
  ["postgres://u:p@h%0a/d", NAME],
  ["postgres://u:p@hé/d", NAME],
  [
    `postgres://u:p@/d?host=/${"x".repeat(100)}`,
    "host: the socket's path is longer than 107 bytes",
  ],
  ["postgres://u:p@h/d?hostaddr=h2", "hostaddr must be an IP address"],
  ["postgres://u:p@h/d?hostaddr=fe80::1%25eth0", "hostaddr must be an IP address"],
  ["postgres://u:p@h/d?hostaddr=10.0.0.1,10.0.0.2", "hostaddr has 2 addresses for 1 hosts"],
  ["postgres://u:p@/d?host=/tmp&hostaddr=10.0.0.1", "hostaddr can't belong to a socket's folder"],
  // Parameters' form.
  ["postgres://u:p@h/d?sslmode", "a parameter has no = behind its name"],
  ["postgres://u:p@h/d?dbname=a&&user=b", "a parameter has no = behind its name"],
  ["postgres://u:p@h/d?sslmode=require=1", "sslmode has a second =: write it as %3D"],
];

for (const [address, sentence] of REFUSED_PARTS) {
  const shown = address.length > 100 ? `${address.slice(0, 30)}…` : JSON.stringify(address);
  Deno.test(`the address ${shown} is refused: ${sentence}`, () => {
    throws(() => parseAddress(address), new AddressError(sentence));
  });
}

Deno.test("hostaddr alone can't be checked against a certificate's name", () => {
  throws(
    () => parseAddress("postgres://u@/d?hostaddr=::1&sslmode=verify-full&sslrootcert=system"),
    new AddressError("hostaddr needs a host beside it for sslmode=verify-full"),
  );
});

Deno.test("the addresses of docs/managed-postgres.md are accepted", async () => {
  const page = await Deno.readTextFile(new URL("../docs/managed-postgres.md", import.meta.url));
  const examples = [...page.matchAll(/^postgres:\/\/[a-z].*$/gm)].map(([address]) => address);
  const ofProviders = [...page.matchAll(/`(sslmode=verify-[^`]*sslrootcert=[^`]*)`/g)]
    .map(([, query]) => `postgres://lotline:secret@db/plant?${query}`);
  ok(examples.length >= 8 && ofProviders.length >= 5);
  for (const address of [...examples, ...ofProviders]) parseAddress(address);
});

Deno.test("the name for messages has neither password nor parameters", () => {
  const address = parseAddress(
    "postgres://u:hunter2@h1:5433,[::1]/d?sslpassword=hunter2&application_name=hunter2",
  );
  strictEqual(safeName(address), "u@h1:5433,[::1]:5432/d");
});

Deno.test("a parsed address can be sent to a thread", () => {
  const address = parseAddress("postgres://u:p@h1,%2Ftmp/d?sslmode=require&schema=public");
  deepStrictEqual(structuredClone(address), address);
});
