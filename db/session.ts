import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import postgres from "postgres";
import { type Address, parseAddress } from "./address.ts";
import { collectRows, intercept, onFailure, onResult } from "./driver.ts";
import { LinkError } from "./link_error.ts";
import { isResponse, isWrongServer } from "./pg_errors.ts";
import { reportWrongServer } from "./servers.ts";
import { watchSilence } from "./silence.ts";
import type { Sql } from "./sql.ts";
import { Opener } from "./startup.ts";
import { TYPES } from "./values.ts";

/** One connection to PostgreSQL; disposing closes it. */
export interface Session extends AsyncDisposable {
  readonly sql: Sql;
  /** False after a failure that may affect the next statement. */
  readonly isUsable: boolean;
}

/** Of PostgreSQL's settings those in ms; 0 is never. */
export interface SessionOptions {
  /** The `application_name` in `pg_stat_activity`. */
  readonly name: string;
  readonly statementTimeoutMs?: number;
  readonly lockTimeoutMs?: number;
  /** PostgreSQL closes an idle connection after this long. */
  readonly idleTimeoutMs?: number;
  /** The same while a transaction is open. */
  readonly idleInTransactionTimeoutMs?: number;
  /** For each host of the address; 5 s by default. */
  readonly connectTimeoutMs?: number;
  /** Whether only a transaction that begins as `read write` may write. */
  readonly readOnly?: boolean;
  /** Whether it reads times as PostgreSQL has it for the address; by default in UTC, month before day. */
  readonly readsAsServer?: boolean;
  /** Called when the connection has ended, for whatever reason. */
  readonly onEnd?: () => void;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** How much later than PostgreSQL's own timeout a response may come, in ms. */
const LINK_SLACK_MS = 1_000;
/** How long running statements may take when a session ends, in s. */
const END_TIMEOUT_S = 1;
/** PostgreSQL cuts off what is longer, in bytes. */
const MAX_NAME = 63;
const MAX_ADDRESSES = 16;

/** Thrown by a statement that was to follow others on a lost connection. */
class SessionLostError extends Error {
  override name = "SessionLostError";
  /** The code that postgres.js has for a statement that was sent. */
  readonly code = "CONNECTION_CLOSED";
}

const lost = () => new SessionLostError("the connection of a session is lost");

const addresses = new Map<string, Address>();

/** The same text is parsed once. @throws {AddressError} */
function addressOf(text: string): Address {
  const known = addresses.get(text);
  if (known !== undefined) return known;
  const address = parseAddress(text);
  if (addresses.size >= MAX_ADDRESSES) addresses.clear();
  addresses.set(text, address);
  return address;
}

/**
 * The settings of postgres.js. It gets parts of the address, since it reads an address by rules of its
 * own: parameters of the address replace ours there.
 *
 * @param open the `socket` of postgres.js
 */
export function settingsOf(text: string, options: SessionOptions, open: () => Promise<Duplex>) {
  const address = addressOf(text);
  const { hosts, user, password, database } = address;
  return {
    // Spread without its type, since the types of postgres.js don't know these forms.
    ...({
      socket: open,
      // For its messages alone. With two hosts it would swallow errors.
      host: [hosts[0]?.name],
      port: [hosts[0]?.port],
      // A function, since it would replace an empty password by one of the environment.
      pass: () => password,
      connection: startupParameters(address, options),
    } as object),
    user,
    database,
    // All of these are the opener's.
    ssl: false as const,
    connect_timeout: 0,
    keep_alive: null,
    fetch_types: false,
    onnotice: () => {},
    types: TYPES,
  };
}

/**
 * What PostgreSQL gets at the start, as text: postgres.js leaves out `0` and `false`. PostgreSQL applies
 * the address's `options` first, so ours win.
 */
function startupParameters({ options: given, nameSuffix }: Address, options: SessionOptions) {
  const name = nameSuffix === undefined ? options.name : `${options.name}/${nameSuffix}`;
  return {
    ...(given !== undefined && { options: given }),
    application_name: Buffer.from(name).subarray(0, MAX_NAME).toString(),
    ...(options.readsAsServer !== true && { TimeZone: "UTC", DateStyle: "ISO, MDY" }),
    statement_timeout: String(options.statementTimeoutMs ?? 0),
    lock_timeout: String(options.lockTimeoutMs ?? 0),
    idle_session_timeout: String(options.idleTimeoutMs ?? 0),
    idle_in_transaction_session_timeout: String(options.idleInTransactionTimeoutMs ?? 0),
    // Without it the server's own setting holds, which may say that it is read-only.
    ...(options.readOnly === true && { default_transaction_read_only: "on" }),
  };
}

/**
 * A connection of its own, for a lock, a temporary table, or a transaction of several statements
 * (`begin` as a statement: `sql.begin` of postgres.js 3.4 ends the process when the connection is lost
 * inside it, its issue 1066). Once it is lost, every statement fails. It also ends after an error among
 * the rows of a result, and after one that isn't PostgreSQL's: the state that postgres.js has of the
 * connection may be wrong then.
 */
export function openSession(url: string, options: SessionOptions): Session {
  const address = addressOf(url);
  const { statementTimeoutMs = 0, connectTimeoutMs = CONNECT_TIMEOUT_MS } = options;
  const maxSilenceMs = statementTimeoutMs && statementTimeoutMs + LINK_SLACK_MS;
  const silence = watchSilence(
    maxSilenceMs,
    () => opener.fail(new LinkError("silent", `nothing from PostgreSQL in ${maxSilenceMs} ms`)),
  );
  const opener = new Opener(address, {
    timeoutMs: address.connectTimeoutMs ?? connectTimeoutMs,
    isReadOnly: options.readOnly === true,
    onReady(socket) {
      socket.on("data", silence.received);
      silence.begin();
    },
    // Waiting statements would be sent over a new connection, outside their transaction.
    lost,
  });
  let isUsable = true;
  const openedAt = performance.now();
  const connection: Sql = postgres({
    ...settingsOf(url, options, opener.open),
    max: 1,
    max_lifetime: null,
    onclose: () => {
      isUsable = false;
      silence.end();
      options.onEnd?.();
      void end({ timeout: 0 });
    },
  });
  const end = async (how?: { timeout?: number }) => {
    await connection.end(how);
    silence.end();
    opener.close();
  };
  const sql = Object.assign(
    intercept(connection, (query, send) => {
      const arrived = collectRows(query);
      onFailure(query, (error) => {
        silence.settled();
        // A read-only session refuses writes on every server.
        if (isWrongServer(error) && !options.readOnly) reportWrongServer(url, openedAt);
        if (isResponse(error) && !arrived.hasRows) return;
        isUsable = false;
        // Those behind it were sent already and have results of their own.
        void end({ timeout: END_TIMEOUT_S });
      });
      onResult(query, silence.settled);
      silence.sent();
      send(query);
    }),
    { end },
  );
  return {
    sql,
    get isUsable() {
      return isUsable;
    },
    [Symbol.asyncDispose]: () => end({ timeout: END_TIMEOUT_S }),
  };
}
