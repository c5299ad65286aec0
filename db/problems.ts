import postgres from "postgres";
import { LinkError, type ProblemKind } from "./link_error.ts";

/** What is wrong with the database, for people. Neither text holds a name, an address or a password. */
export interface Problem {
  readonly kind: ProblemKind;
  readonly sentence: string;
  /** What to do about it, as an instruction without its full stop. */
  readonly todo: string;
}

const CHECK_ADDRESS = "check host and port in DATABASE_URL, and that PostgreSQL runs there";
const MIGRATE = "run deno task migrate";

const TEXTS: Readonly<Record<ProblemKind, readonly [sentence: string, todo: string]>> = {
  unreachable: ["The database can't be reached", CHECK_ADDRESS],
  silent: ["The database does not respond", "check the network to PostgreSQL, and its load"],
  refused: ["The database refuses the connection", "see the cause in Lotline's log"],
  refused_login: [
    "The database refuses the login",
    "check user and password in DATABASE_URL, and PostgreSQL's pg_hba.conf",
  ],
  encryption_required: [
    "The database accepts no unencrypted connection",
    "write sslmode=verify-full in DATABASE_URL, or allow this machine in PostgreSQL's pg_hba.conf",
  ],
  no_database: [
    "The database does not exist",
    "check the database's name in DATABASE_URL, or create the database",
  ],
  no_right: ["The database's user lacks a right", "grant the rights that deno task grants shows"],
  unknown_parameter: [
    "The database refuses a parameter of its address",
    "remove the parameter from DATABASE_URL",
  ],
  too_many: [
    "The database has no free connection",
    "lower DATABASE_POOL_MAX, or raise the limit of connections",
  ],
  starting: ["The database is starting", "wait until PostgreSQL accepts connections"],
  stopping: ["The database is stopping", "start PostgreSQL again"],
  read_only: [
    "The database is read-only",
    "name the primary in DATABASE_URL, or let PostgreSQL write again",
  ],
  disk_full: ["The database's disk is full", "free disk space on PostgreSQL's machine"],
  no_suitable_server: [
    "No server of the address is as target_session_attrs requires",
    "check the hosts in DATABASE_URL, and which of them is the primary",
  ],
  tls_unsupported: [
    "The database has no encryption",
    "turn on ssl in PostgreSQL, or write another sslmode in DATABASE_URL",
  ],
  tls_name: [
    "The database's certificate is for another name",
    "write the certificate's name as the host in DATABASE_URL",
  ],
  tls_untrusted: [
    "The database's certificate comes from an unknown authority",
    "name the authority's certificate with sslrootcert in DATABASE_URL",
  ],
  tls_expired: [
    "The database's certificate is not valid at this time",
    "renew the certificate, or set this machine's clock",
  ],
  tls_client_key: [
    "The database does not accept the client's certificate",
    "check sslcert and sslkey in DATABASE_URL",
  ],
  tls_file: [
    "A certificate file of the database's address can't be used",
    "check sslrootcert, sslcert and sslkey in DATABASE_URL",
  ],
  tls_failed: [
    "No encrypted connection to the database can be made",
    "check that PostgreSQL has ssl on, and sslmode in DATABASE_URL",
  ],
  no_permission: [
    "Deno lacks a permission to reach the database",
    "start the process with the permission that its log names",
  ],
  not_postgres: ["The database's address leads to another program", CHECK_ADDRESS],
  auth_method: [
    "The database requests a login that Lotline does not support",
    "use scram-sha-256 in PostgreSQL's pg_hba.conf",
  ],
  pooler_parameter: [
    "The pooler refuses a setting of the connection",
    "give the address of PostgreSQL itself in DATABASE_URL",
  ],
  old_server: ["PostgreSQL is older than version 15", "use PostgreSQL 15 or later"],
  schema_missing: ["The database lacks Lotline's tables", MIGRATE],
  schema_old: ["The database's tables are older than this Lotline", MIGRATE],
};

export function problem(kind: ProblemKind): Problem {
  const [sentence, todo] = TEXTS[kind];
  return { kind, sentence, todo };
}

export const PROBLEM_KINDS = Object.keys(TEXTS) as readonly ProblemKind[];

/** Errors and their causes are followed so far. */
const MAX_DEPTH = 10;

/** The problem that an error shows, from the error inwards through its causes. */
export function problemOf(error: unknown): Problem | undefined {
  let at = error;
  for (let depth = 0; at instanceof Error && depth < MAX_DEPTH; depth++) {
    const kind = kindOf(at);
    if (kind !== undefined) return problem(kind);
    // Each address of a host has an error of its own.
    at = at instanceof AggregateError ? at.errors[0] : at.cause;
  }
  return undefined;
}

const MIN_VERSION_NUM = 150_000;

/** Whether it is the `server_version_num` of a PostgreSQL that Lotline can't use. */
export const isTooOld = (versionNum: number) => versionNum < MIN_VERSION_NUM;

/** Whether PostgreSQL, or a pooler before it, ended the connection with this error. */
export function isFatal(error: unknown): boolean {
  // PgBouncer's errors lack the field of the severity that is never translated.
  return error instanceof postgres.PostgresError &&
    ["FATAL", "PANIC"].includes(error.severity ?? error.severity_local ?? "");
}

/** The problem of an error itself, without its causes. */
export function kindOf(error: unknown): ProblemKind | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error instanceof LinkError) return error.kind;
  // PostgreSQL's errors have a code, and a pooler's too.
  if (error instanceof postgres.PostgresError && !error.code) return "not_postgres";
  const { message } = error;
  const code = "code" in error ? String(error.code) : "";
  if (code === "ECONNRESET" && message.includes(LOST_IN_HANDSHAKE)) return "tls_failed";
  if (isFatal(error) && code in OF_STARTUP) {
    return message.includes(SINCE_14) ? "old_server" : OF_STARTUP[code];
  }
  const kind = BY_TEXT.find(([ofCode, text]) => code === ofCode && message.includes(text))?.[2] ??
    BY_CODE[code] ?? BY_CLASS.find(([begin]) => code.startsWith(begin))?.[1];
  return kind ?? (isFatal(error) ? "refused" : undefined);
}

/** A setting of every session that PostgreSQL 13 doesn't know. */
const SINCE_14 = "idle_session_timeout";

/** How Node and Deno report a connection that the server ended during the TLS handshake. */
const LOST_IN_HANDSHAKE = "before secure TLS connection was established";

/**
 * By the code of PostgreSQL (https://www.postgresql.org/docs/17/errcodes-appendix.html), of
 * postgres.js, of the operating system, or of TLS (https://nodejs.org/api/tls.html).
 */
const BY_CODE: Readonly<Record<string, ProblemKind>> = {
  CONNECTION_CLOSED: "unreachable",
  CONNECTION_DESTROYED: "unreachable",
  ECONNREFUSED: "unreachable",
  ECONNRESET: "unreachable",
  ECONNABORTED: "unreachable",
  EPIPE: "unreachable",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  ENOTFOUND: "unreachable",
  EAI_AGAIN: "unreachable",
  CONNECT_TIMEOUT: "silent",
  QUERY_DEADLINE: "silent",
  ETIMEDOUT: "silent",
  // Without its kind, which an error loses on its way from a thread.
  LINK_FAILED: "unreachable",
  SASL_SIGNATURE_MISMATCH: "refused_login",
  MESSAGE_NOT_SUPPORTED: "not_postgres",
  ERR_TLS_CERT_ALTNAME_INVALID: "tls_name",
  CERT_HAS_EXPIRED: "tls_expired",
  CERT_NOT_YET_VALID: "tls_expired",
  CERT_UNTRUSTED: "tls_untrusted",
  CERT_SIGNATURE_FAILURE: "tls_untrusted",
  DEPTH_ZERO_SELF_SIGNED_CERT: "tls_untrusted",
  SELF_SIGNED_CERT_IN_CHAIN: "tls_untrusted",
  UNABLE_TO_GET_ISSUER_CERT: "tls_untrusted",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "tls_untrusted",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "tls_untrusted",
  EPROTO: "tls_failed",
  "25006": "read_only",
  "3D000": "no_database",
  "3F000": "schema_missing",
  "42501": "no_right",
  "42P01": "schema_missing",
  "53100": "disk_full",
  "53300": "too_many",
  "57P01": "stopping",
  "57P02": "stopping",
  "57P03": "starting",
  "57P04": "no_database",
};

const BY_CLASS: readonly [begin: string, kind: ProblemKind][] = [
  ["08", "unreachable"],
  ["28", "refused_login"],
  ["ERR_SSL_", "tls_failed"],
  ["ERR_TLS_", "tls_failed"],
];

/** Errors that a connection's first message causes; after it they are a statement's. */
const OF_STARTUP: Readonly<Record<string, ProblemKind>> = {
  "22023": "unknown_parameter",
  "42704": "unknown_parameter",
  "55P02": "unknown_parameter",
};

/** Where a code says too little, the text; of PgBouncer's errors all have 08P01. */
const BY_TEXT: readonly [code: string, text: string, kind: ProblemKind][] = [
  ["28000", "pg_hba.conf rejects", "refused_login"],
  ["28000", "no encryption", "encryption_required"],
  ["28000", "client certificate", "tls_client_key"],
  ["57P03", "shutting down", "stopping"],
  ["08P01", "authentication failed", "refused_login"],
  ["08P01", "no such user", "refused_login"],
  ["08P01", "no such database", "no_database"],
  ["08P01", "SSL required", "encryption_required"],
  ["08P01", "unsupported startup parameter", "pooler_parameter"],
  ["08P01", "no more connections allowed", "too_many"],
  ["08P01", "query_wait_timeout", "too_many"],
  ["08P01", "shutting down", "stopping"],
];
