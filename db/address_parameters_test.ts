import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { type Address, AddressError, parseAddress, type Tls } from "./address.ts";

const BASE = parseAddress("postgres://u:p@h/d");

/** How an address with the parameters differs from one without. */
const tls = (part: Partial<Tls>): Partial<Address> => ({ tls: { ...BASE.tls, ...part } });
const IGNORED = (...ignored: string[]): Partial<Address> => ({ ignored });

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
