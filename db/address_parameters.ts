/*
 * The parameters of a PostgreSQL address: each works as libpq's documentation says, is accepted without
 * effect, or is refused. https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
 */

import { refusedOption } from "./address_options.ts";

export type TlsMode = "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full";
export type TlsVersion = "TLSv1.2" | "TLSv1.3";
export type TargetServer =
  | "any"
  | "read-write"
  | "read-only"
  | "primary"
  | "standby"
  | "prefer-standby";

/** What the parts and parameters of an address say, each by itself. */
export interface Given {
  /** Items with commas between them, as are `hostaddr` and `port`. */
  host?: string;
  hostaddr?: string;
  port?: string;
  user?: string;
  password?: string;
  dbname?: string;
  tlsMode?: TlsMode;
  rootCert?: string;
  cert?: string;
  key?: string;
  keyPassword?: string;
  sendsCert?: boolean;
  directTls?: boolean;
  minVersion?: TlsVersion;
  maxVersion?: TlsVersion;
  target?: TargetServer;
  shuffles?: boolean;
  options?: string;
  name?: string;
  fallbackName?: string;
  connectTimeoutS?: number;
  keepalives?: number;
  keepalivesIdleS?: number;
  pooler?: "auto" | "none" | "transaction";
  /** The parameters that are accepted without effect. */
  readonly ignored: Set<string>;
}

/**
 * Takes a parameter's value, or returns why it is refused: the rest of a sentence that begins with the
 * parameter's name. No refusal shows the value, which may be a part of a password.
 */
type Rule = (given: Given, value: string, name: string) => string | undefined;
type KeyFor<V> = Exclude<
  { [K in keyof Given]-?: V extends NonNullable<Given[K]> ? K : never }[keyof Given],
  "ignored"
>;

const WHOLE_NUMBER = /^[+-]?\d{1,9}$/;
const listed = (values: readonly string[]) =>
  values.length === 1 ? values.join() : `${values.slice(0, -1).join(", ")} or ${values.at(-1)}`;

const text = (key: KeyFor<string>): Rule => (given, value) => {
  given[key] = value;
  return undefined;
};

const number = (key: KeyFor<number>): Rule => (given, value) => {
  if (!WHOLE_NUMBER.test(value)) return "must be a whole number";
  given[key] = Number(value);
  return undefined;
};

/** The values that are allowed, each with its meaning. */
const oneOf = <K extends Exclude<keyof Given, "ignored">>(
  key: K,
  meanings: readonly (readonly [value: string, meaning: Given[K]])[],
  hint = "",
): Rule =>
(given, value) => {
  const found = meanings.find(([one]) => one === value);
  if (found === undefined) return `must be ${listed(meanings.map(([one]) => one))}${hint}`;
  given[key] = found[1];
  return undefined;
};

const themselves = <V extends string>(...values: readonly V[]) =>
  values.map((value) => [value, value] as const);

/** Values that say what Lotline does anyway. */
const only = (values: readonly string[], hint = ""): Rule => (_given, value) =>
  values.includes(value) ? undefined : `must be ${listed(values)}${hint}`;

const ignored = (values: readonly string[], hint = ""): Rule => (given, value, name) => {
  const refusal = only(values, hint)(given, value, name);
  if (refusal === undefined) given.ignored.add(name);
  return refusal;
};

/** The setting of another driver. */
const ignoredNumber: Rule = (given, value, name) => {
  if (!WHOLE_NUMBER.test(value) && value !== "true" && value !== "false") {
    return "must be a whole number, true or false";
  }
  given.ignored.add(name);
  return undefined;
};

const ignoredText: Rule = (given, _value, name) => {
  given.ignored.add(name);
  return undefined;
};

const refused = (why: string): Rule => () => why;
const unsupported = refused("is not supported: remove it");
const ours = refused("is a setting of Lotline's own: remove it");
const credentialsElsewhere = refused(
  "is not supported: write host, user and password in the address",
);
const schema = ignored(["public"], ", since the old server's tables are in that schema");

/** libpq compares these without regard to case, and an empty one is the default. */
const tlsVersion = (key: "minVersion" | "maxVersion", lowest: readonly string[]): Rule => {
  const meanings: [string, TlsVersion | undefined][] = [
    ...lowest.map((version): [string, TlsVersion] => [version, "TLSv1.2"]),
    ["TLSv1.2", "TLSv1.2"],
    ["TLSv1.3", "TLSv1.3"],
  ];
  return (given, value) => {
    const found = meanings.find(([one]) => one.toLowerCase() === value.toLowerCase());
    if (found === undefined && value !== "") return "must be TLSv1.2 or TLSv1.3";
    given[key] = found?.[1];
    return undefined;
  };
};

const SSLMODES = themselves(
  "disable",
  "allow",
  "prefer",
  "require",
  "verify-ca",
  "verify-full",
);

/** In the order of libpq's documentation. */
const OF_LIBPQ: Readonly<Record<string, Rule>> = {
  host: text("host"),
  hostaddr: text("hostaddr"),
  port: text("port"),
  dbname: text("dbname"),
  user: text("user"),
  password: text("password"),
  passfile: credentialsElsewhere,
  require_auth: unsupported,
  channel_binding: only(
    ["disable", "prefer"],
    "; channel_binding=prefer with sslmode=verify-full proves the server as well as require does",
  ),
  connect_timeout: number("connectTimeoutS"),
  client_encoding: (_given, value) =>
    /^(?:auto|utf-?8|unicode)$/i.test(value) ? undefined : "must be UTF8",
  options: (given, value) => {
    given.options = value;
    return refusedOption(value);
  },
  application_name: text("name"),
  fallback_application_name: text("fallbackName"),
  keepalives: number("keepalives"),
  keepalives_idle: number("keepalivesIdleS"),
  // A statement without a response is dropped much sooner.
  keepalives_interval: ignoredNumber,
  keepalives_count: ignoredNumber,
  tcp_user_timeout: ignoredNumber,
  replication: unsupported,
  gssencmode: only(["disable", "prefer"]),
  sslmode: oneOf("tlsMode", SSLMODES, "; no-verify is written as require"),
  requiressl: (given, value) => {
    given.tlsMode = value.startsWith("1") ? "require" : "prefer";
    return undefined;
  },
  sslnegotiation: oneOf("directTls", [["postgres", false], ["direct", true]]),
  sslcompression: ignored(["0", "1"]),
  sslcert: text("cert"),
  sslkey: text("key"),
  sslkeylogfile: unsupported,
  sslpassword: text("keyPassword"),
  sslcertmode: oneOf("sendsCert", [["allow", true], ["disable", false]]),
  sslrootcert: text("rootCert"),
  sslcrl: unsupported,
  sslcrldir: unsupported,
  sslsni: only(["1"]),
  requirepeer: unsupported,
  ssl_min_protocol_version: tlsVersion("minVersion", ["TLSv1", "TLSv1.1"]),
  ssl_max_protocol_version: tlsVersion("maxVersion", []),
  min_protocol_version: only(["3.0"]),
  max_protocol_version: only(["3.0", "3.2", "latest"]),
  krbsrvname: unsupported,
  gsslib: unsupported,
  gssdelegation: unsupported,
  scram_client_key: unsupported,
  scram_server_key: unsupported,
  service: credentialsElsewhere,
  servicefile: credentialsElsewhere,
  target_session_attrs: oneOf(
    "target",
    themselves("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
  ),
  load_balance_hosts: oneOf("shuffles", [["disable", false], ["random", true]]),
  oauth_issuer: unsupported,
  oauth_client_id: unsupported,
  oauth_client_secret: unsupported,
  oauth_scope: unsupported,
};

/** What providers and other drivers put into addresses. */
const OF_OTHERS: Readonly<Record<string, Rule>> = {
  ssl: refused("must be true; for the others write sslmode"),
  uselibpqcompat: ignored(["true"]),
  sslaccept: refused("is not supported: write sslmode=verify-full or sslmode=require"),
  sslidentity: refused("is not supported: write sslcert and sslkey"),
  schema,
  currentSchema: schema,
  search_path: schema,
  pgbouncer: oneOf("pooler", [["true", "transaction"], ["false", "none"]]),
  pool_mode: oneOf("pooler", [
    ["transaction", "transaction"],
    ["session", "none"],
    ["none", "none"],
    ["auto", "auto"],
  ]),
  connection_limit: ignoredNumber,
  max_connections: ignoredNumber,
  pool_size: ignoredNumber,
  pool_timeout: ignoredNumber,
  max_idle_connection_lifetime: ignoredNumber,
  socket_timeout: ignoredNumber,
  statement_cache_size: ignoredNumber,
  prepared_statements: ignoredNumber,
  prepareThreshold: ignoredNumber,
  supa: ignoredText,
  workaround: ignoredText,
};

const OF_LOTLINE = [
  "statement_timeout",
  "lock_timeout",
  "idle_session_timeout",
  "idle_in_transaction_session_timeout",
  "transaction_timeout",
  "default_transaction_read_only",
  "TimeZone",
  "timezone",
  "DateStyle",
  "datestyle",
];

export const PARAMETERS: ReadonlyMap<string, Rule> = new Map([
  ...Object.entries(OF_LIBPQ),
  ...Object.entries(OF_OTHERS),
  ...OF_LOTLINE.map((name) => [name, ours] as const),
]);
