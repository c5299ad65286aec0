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
const IGNORED = (...ignored: string[]): Partial<Address> => ({ ignored });

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

/** Parameters behind `postgres://u:p@h/d?`. */
const PARAMETERS: [query: string, difference: Partial<Address>][] = [
  ...(["disable", "allow", "prefer", "require"] as const).map((
    mode,
  ): [string, Partial<Address>] => [`sslmode=${mode}`, tls({ mode })]),
  ["sslmode=verify-ca&sslrootcert=/ca.crt", tls({ mode: "verify-ca", rootCert: "/ca.crt" })],
  ["sslmode=verify-full&sslrootcert=ca.crt", tls({ mode: "verify-full", rootCert: "ca.crt" })],
  ["sslmode=require&sslrootcert=/ca.crt", tls({ mode: "verify-ca", rootCert: "/ca.crt" })],
  ["sslrootcert=/ca.crt", tls({ rootCert: "/ca.crt" })],
  ["sslrootcert=", {}],
  ["sslrootcert=system", tls({ mode: "verify-full", rootCert: "system" })],
  ["sslrootcert=system&sslmode=verify-full", tls({ mode: "verify-full", rootCert: "system" })],
  ["sslcert=/c.crt&sslkey=/c.key", tls({ cert: "/c.crt", key: "/c.key" })],
  ["sslcert=/c.crt&sslkey=/c.key&sslpassword=%25", {
    ...tls({ cert: "/c.crt", key: "/c.key", keyPassword: "%" }),
  }],
  ["sslcert=&sslkey=", {}],
  ["sslcertmode=allow", {}],
  ["sslcertmode=disable", tls({ sendsCert: false })],
  ["sslnegotiation=postgres", {}],
  ["sslnegotiation=direct&sslmode=require", tls({ mode: "require", direct: true })],
  ["ssl_min_protocol_version=TLSv1.3", tls({ minVersion: "TLSv1.3" })],
  ["ssl_min_protocol_version=tlsv1", tls({ minVersion: "TLSv1.2" })],
  ["ssl_min_protocol_version=TLSv1.1", tls({ minVersion: "TLSv1.2" })],
  ["ssl_min_protocol_version=", {}],
  ["ssl_max_protocol_version=TLSv1.2", tls({ maxVersion: "TLSv1.2" })],
  ["ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.3", {
    ...tls({ minVersion: "TLSv1.3", maxVersion: "TLSv1.3" }),
  }],
  ["ssl=true", tls({ mode: "require" })],
  ["ssl=true&sslmode=prefer", {}],
  ["requiressl=1", tls({ mode: "require" })],
  ["requiressl=0", {}],
  ["sslsni=1", {}],
  ["sslcompression=0", IGNORED("sslcompression")],
  ["sslcompression=1", IGNORED("sslcompression")],
  ["channel_binding=disable", {}],
  ["channel_binding=prefer", {}],
  ["gssencmode=disable", {}],
  ["gssencmode=prefer", {}],
  ["options=-c%20geqo%3Doff", { options: "-c geqo=off" }],
  ["options=", {}],
  ["application_name=plant", { nameSuffix: "plant" }],
  ["fallback_application_name=plant", { nameSuffix: "plant" }],
  ["fallback_application_name=a&application_name=b", { nameSuffix: "b" }],
  ["application_name=", {}],
  ["connect_timeout=3", { connectTimeoutMs: 3_000 }],
  ["connect_timeout=10", { connectTimeoutMs: 10_000 }],
  ["connect_timeout=600", { connectTimeoutMs: 10_000 }],
  ["connect_timeout=0", {}],
  ["connect_timeout=-1", {}],
  ...(["any", "read-write", "read-only", "primary", "standby", "prefer-standby"] as const).map((
    target,
  ): [string, Partial<Address>] => [`target_session_attrs=${target}`, { target }]),
  ["load_balance_hosts=disable", {}],
  ["load_balance_hosts=random", { shuffles: true }],
  ["keepalives=1", {}],
  ["keepalives=0", { keepAliveMs: false }],
  ["keepalives=0&keepalives_idle=5", { keepAliveMs: false }],
  ["keepalives_idle=30", { keepAliveMs: 30_000 }],
  ["keepalives_idle=0", {}],
  ["keepalives_interval=5", IGNORED("keepalives_interval")],
  ["keepalives_count=5", IGNORED("keepalives_count")],
  ["tcp_user_timeout=5000", IGNORED("tcp_user_timeout")],
  ...["UTF8", "utf-8", "UTF-8", "unicode", "auto"].map((
    encoding,
  ): [string, Partial<Address>] => [`client_encoding=${encoding}`, {}]),
  ["min_protocol_version=3.0", {}],
  ["max_protocol_version=3.0", {}],
  ["max_protocol_version=latest", {}],
  // Of providers and other drivers.
  ["uselibpqcompat=true", IGNORED("uselibpqcompat")],
  ["schema=public", IGNORED("schema")],
  ["currentSchema=public", IGNORED("currentSchema")],
  ["search_path=public", IGNORED("search_path")],
  ["pgbouncer=true", { pooler: "transaction" }],
  ["pgbouncer=false", {}],
  ["pool_mode=transaction", { pooler: "transaction" }],
  ["pool_mode=session", {}],
  ["pool_mode=none", {}],
  ["pool_mode=auto", { pooler: "auto" }],
  ["connection_limit=5&pool_timeout=0", IGNORED("connection_limit", "pool_timeout")],
  ["pool_size=5&max_connections=9", IGNORED("pool_size", "max_connections")],
  ["socket_timeout=5&statement_cache_size=0", IGNORED("socket_timeout", "statement_cache_size")],
  ["prepared_statements=false&prepareThreshold=0", {
    ...IGNORED("prepared_statements", "prepareThreshold"),
  }],
  ["max_idle_connection_lifetime=1", IGNORED("max_idle_connection_lifetime")],
  ["supa=base-pooler.x", IGNORED("supa")],
  ["workaround=supabase-pooler.vercel", IGNORED("workaround")],
  ["schema=public&schema=public", IGNORED("schema")],
];

for (const [query, difference] of PARAMETERS) {
  Deno.test(`the parameters ${query} are accepted`, () => {
    deepStrictEqual(parseAddress(`postgres://u:p@h/d?${query}`), { ...BASE, ...difference });
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

const UNKNOWN = "is not a parameter of a PostgreSQL address: remove it";
const HIDDEN = "a parameter has an unknown name; in a password @ is written as %40 and & as %26";
const OURS = "is a setting of Lotline's own: remove it";
const UNSUPPORTED = "is not supported: remove it";
const CREDENTIALS = "is not supported: write host, user and password in the address";
const SCHEMA = "must be public, since the old server's tables are in that schema";
const NUMBER = "must be a whole number, true or false";
const SETTINGS = "must consist of -c NAME=VALUE or --NAME=VALUE";

const SSLMODES =
  "must be disable, allow, prefer, require, verify-ca or verify-full; no-verify is written as require";

const REFUSED_PARAMETERS: [query: string, sentence: string][] = [
  ["sslmode=no-verify", `sslmode ${SSLMODES}`],
  ["sslmode=REQUIRE", `sslmode ${SSLMODES}`],
  ["sslmode=", `sslmode ${SSLMODES}`],
  [
    "sslmode=verify-full",
    "sslrootcert is needed for sslmode=verify-full: a file's path, or system",
  ],
  ["sslmode=verify-ca", "sslrootcert is needed for sslmode=verify-ca: a file's path, or system"],
  ["sslmode=require&sslrootcert=system", "sslrootcert=system needs sslmode=verify-full"],
  ["sslmode=verify-ca&sslrootcert=system", "sslrootcert=system needs sslmode=verify-full"],
  ["sslcert=/c.crt", "sslcert needs sslkey beside it"],
  ["sslkey=/c.key", "sslkey needs sslcert beside it"],
  [
    "sslcert=/c&sslkey=pkcs11:token",
    "sslkey must be a file: engines are not supported",
  ],
  ["sslcertmode=require", "sslcertmode must be allow or disable"],
  ["sslnegotiation=direct", "sslnegotiation=direct needs sslmode=require or stricter"],
  ["sslnegotiation=x", "sslnegotiation must be postgres or direct"],
  ["ssl_min_protocol_version=SSLv3", "ssl_min_protocol_version must be TLSv1.2 or TLSv1.3"],
  ["ssl_max_protocol_version=TLSv1.1", "ssl_max_protocol_version must be TLSv1.2 or TLSv1.3"],
  [
    "ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2",
    "ssl_min_protocol_version is higher than ssl_max_protocol_version",
  ],
  ...["sslcrl", "sslcrldir", "sslkeylogfile", "require_auth", "requirepeer", "replication"]
    .map((name): [string, string] => [`${name}=x`, `${name} ${UNSUPPORTED}`]),
  ...["krbsrvname", "gsslib", "gssdelegation", "scram_client_key", "scram_server_key"]
    .map((name): [string, string] => [`${name}=x`, `${name} ${UNSUPPORTED}`]),
  ...["oauth_issuer", "oauth_client_id", "oauth_client_secret", "oauth_scope"]
    .map((name): [string, string] => [`${name}=x`, `${name} ${UNSUPPORTED}`]),
  ...["service", "servicefile", "passfile"]
    .map((name): [string, string] => [`${name}=x`, `${name} ${CREDENTIALS}`]),
  ["sslsni=0", "sslsni must be 1"],
  [
    "channel_binding=require",
    "channel_binding must be disable or prefer; channel_binding=prefer with sslmode=verify-full " +
    "proves the server as well as require does",
  ],
  ["gssencmode=require", "gssencmode must be disable or prefer"],
  ["options=geqo%3Doff", `options ${SETTINGS}`],
  ["connect_timeout=soon", "connect_timeout must be a whole number"],
  ["connect_timeout=", "connect_timeout must be a whole number"],
  ["connect_timeout=1.5", "connect_timeout must be a whole number"],
  [
    "target_session_attrs=master",
    "target_session_attrs must be any, read-write, read-only, primary, standby or prefer-standby",
  ],
  ["load_balance_hosts=on", "load_balance_hosts must be disable or random"],
  ["keepalives=on", "keepalives must be a whole number"],
  ["keepalives_idle=x", "keepalives_idle must be a whole number"],
  ["client_encoding=LATIN1", "client_encoding must be UTF8"],
  ["min_protocol_version=3.2", "min_protocol_version must be 3.0"],
  ["max_protocol_version=2.0", "max_protocol_version must be 3.0, 3.2 or latest"],
  ["ssl=false", "ssl must be true; for the others write sslmode"],
  ["uselibpqcompat=false", "uselibpqcompat must be true"],
  ["sslaccept=strict", "sslaccept is not supported: write sslmode=verify-full or sslmode=require"],
  ["sslidentity=x", "sslidentity is not supported: write sslcert and sslkey"],
  ["schema=plant", `schema ${SCHEMA}`],
  ["currentSchema=a", `currentSchema ${SCHEMA}`],
  ["search_path=a,public", `search_path ${SCHEMA}`],
  ["pgbouncer=yes", "pgbouncer must be true or false"],
  ["pool_mode=statement", "pool_mode must be transaction, session, none or auto"],
  ["connection_limit=many", `connection_limit ${NUMBER}`],
  ["prepareThreshold=x", `prepareThreshold ${NUMBER}`],
  ["tcp_user_timeout=x", `tcp_user_timeout ${NUMBER}`],
  ...["statement_timeout", "lock_timeout", "idle_session_timeout", "TimeZone", "timezone"]
    .map((name): [string, string] => [`${name}=0`, `${name} ${OURS}`]),
  ...["idle_in_transaction_session_timeout", "transaction_timeout", "DateStyle", "datestyle"]
    .map((name): [string, string] => [`${name}=0`, `${name} ${OURS}`]),
  ["default_transaction_read_only=off", `default_transaction_read_only ${OURS}`],
  ["work_mem=1", `work_mem ${UNKNOWN}`],
  ["SSLMODE=require", `SSLMODE ${UNKNOWN}`],
  ["constructor=1", `constructor ${UNKNOWN}`],
  ["=1", HIDDEN],
  ["%0a=1", HIDDEN],
  ["work_mem=1@h", HIDDEN],
  ["password=a&b=c", HIDDEN],
];

for (const [query, sentence] of REFUSED_PARAMETERS) {
  Deno.test(`the parameters ${query} are refused: ${sentence}`, () => {
    throws(() => parseAddress(`postgres://u:p@h/d?${query}`), new AddressError(sentence));
  });
}

Deno.test("hostaddr alone can't be checked against a certificate's name", () => {
  throws(
    () => parseAddress("postgres://u@/d?hostaddr=::1&sslmode=verify-full&sslrootcert=system"),
    new AddressError("hostaddr needs a host beside it for sslmode=verify-full"),
  );
});

for (
  const [options, refusal] of [
    ["-c geqo=off", undefined],
    ["-cgeqo=off --work_mem=5MB  -c search.path=x", undefined],
    ["--statement-timeout=0 -c Lock_Timeout=0", undefined],
    ["-c log_line_prefix=a\\ b\\\\c", undefined],
    ["endpoint=ep-cool-1 -c geqo=off", undefined],
    ["  ", undefined],
    ["-c", SETTINGS],
    ["-c geqo", SETTINGS],
    ["-c =1", SETTINGS],
    ["--", SETTINGS],
    ["-e", SETTINGS],
    ["-F -c geqo=off", SETTINGS],
    ["geqo=off", SETTINGS],
    ["-c geqo\\ =off", SETTINGS],
    ...[
      "bytea_output",
      "client_encoding",
      "default_transaction_isolation",
      "default_transaction_read_only",
      "extra_float_digits",
      "intervalstyle",
      "row_security",
      "search_path",
      "session_replication_role",
      "standard_conforming_strings",
      "transaction_isolation",
      "transaction_read_only",
      "transaction_timeout",
    ].map((name) => [`-c ${name}=x`, `can't set ${name}, which is a setting of Lotline's own`]),
    ["--Search-Path=x", "can't set search_path, which is a setting of Lotline's own"],
    ["-c IntervalStyle=iso_8601", "can't set intervalstyle, which is a setting of Lotline's own"],
    ["-c sea\\rch_path=x", "can't set search_path, which is a setting of Lotline's own"],
    ["-c lotline.dry_run=on", "can't set what begins with lotline."],
  ] as [string, string | undefined][]
) {
  Deno.test(`the options ${options} are ${refusal === undefined ? "accepted" : "refused"}`, () => {
    const address = `postgres://u:p@h/d?options=${encodeURIComponent(options)}`;
    if (refusal === undefined) return strictEqual(parseAddress(address).options ?? "", options);
    throws(() => parseAddress(address), new AddressError(`options ${refusal}`));
  });
}

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

/** Numbers from 0 to below `end`, the same for each seed: https://en.wikipedia.org/wiki/Lehmer_random_number_generator */
function numbersFrom(seed: number) {
  let state = seed;
  return (end: number) => {
    state = state * 48_271 % 0x7fffffff;
    return state % end;
  };
}

const PIECES = [..."@/?#:,&=%[]+ \\\0\n", "%2", "%00", "%40", "://", "&&", "ä", "\ud800", "host="];
const PASSWORD = "hunter2";

Deno.test("20,000 mutated addresses are parsed or refused in a sentence without the password", () => {
  const below = numbersFrom(20_191_130);
  const seeds = [
    ...PARTS.map(([address]) => address.replace(":p@", `:${PASSWORD}@`)),
    ...PARAMETERS.map(([query]) => `postgres://u:${PASSWORD}@h:5432,[::1]/d?${query}`),
    ...REFUSED_PARAMETERS.map(([query]) => `postgres://u:${PASSWORD}@h/d?${query}`),
  ];
  let parsed = 0;
  for (let n = 0; n < 20_000; n++) {
    let text = seeds[below(seeds.length)] ?? "";
    for (let changes = below(4); changes >= 0; changes--) {
      const at = below(text.length + 1);
      const piece = below(3) === 0 ? "" : PIECES[below(PIECES.length)] ?? "";
      text = text.slice(0, at) + piece.repeat(1 + below(2)) + text.slice(at + below(3));
    }
    try {
      const address = parseAddress(text);
      ok(address.hosts.length > 0 && address.user !== "" && address.database !== "", text);
      parsed++;
    } catch (error) {
      ok(error instanceof AddressError, `${JSON.stringify(text)}: ${error}`);
      // Without an @ behind it, it is none.
      const isPassword = text.lastIndexOf("@") > text.indexOf(PASSWORD);
      ok(!isPassword || !error.message.includes(PASSWORD), `${text}: ${error.message}`);
      ok(error.message.length < 250 && !error.message.includes("\n"), error.message);
    }
  }
  // Both happen.
  ok(parsed > 1_000 && parsed < 19_000, `${parsed}`);
});
