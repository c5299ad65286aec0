import net from "node:net";
import postgres from "postgres";
// The parser of the old server's driver; the types that come with it describe another module.
// @ts-types="./postgres_date.d.ts"
import parseMoment from "postgres-date";

// Moments are text on both sides, see `types` below.
type Types = { date: string | null };

/** A pool of connections. */
export type Sql = postgres.Sql<Types>;

/** A statement that hasn't run yet: to be awaited, or put into another one. */
export type Statement<Row extends postgres.MaybeRow = postgres.Row> = postgres.PendingQuery<Row[]>;

/** How the pool behaves; times in ms. */
export interface ConnectOptions {
  readonly url: string;
  /** The most connections. */
  readonly max?: number;
  /** PostgreSQL gives up a statement after this long; 0: never, and may be silent as long. */
  readonly statementTimeoutMs?: number;
  /** What the connections are called in `pg_stat_activity`. */
  readonly name?: string;
}

const LOCK_TIMEOUT_MS = 2_000;
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000;
/** How long PostgreSQL works on one statement of a request, in ms. */
export const STATEMENT_TIMEOUT_MS = 4_000;
/** How much longer than PostgreSQL's own timeout an answer is waited for, in ms. */
const LINK_SLACK_MS = 1_000;
const CONNECT_TIMEOUT_S = 2;

/** How values that aren't text are read and written. */
export const TYPES = {
  // Parameters are text that PostgreSQL reads itself: through a JavaScript Date microseconds would
  // be lost, and a time without a zone would be taken for this machine's.
  date: {
    to: 1184,
    from: [1082, 1114, 1184],
    serialize: (moment: string | null) => moment,
    parse: toIsoText,
  },
};

/**
 * Opens a pool (lazily: nothing is connected until the first query). Values come as the old server
 * showed them: `numeric` as text with its scale, moments as UTC text with milliseconds, `jsonb`
 * parsed. A connection on which PostgreSQL stops answering is dropped, so that a black hole between
 * the two can't hold the pool.
 */
export function connect(options: ConnectOptions): Sql {
  const statementTimeoutMs = options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS;
  // `socket` is an option of postgres.js that its types don't know.
  const settings = {
    max: options.max ?? 10,
    fetch_types: false,
    connect_timeout: CONNECT_TIMEOUT_S,
    // The default waits longer with each failed try, up to 20 s: far more than the second in which
    // we promise to be back after PostgreSQL is.
    backoff: () => 0.3,
    socket: (target: Target) =>
      openSocket(target, statementTimeoutMs && statementTimeoutMs + LINK_SLACK_MS),
    onnotice: () => {},
    connection: {
      application_name: options.name ?? "lotline",
      TimeZone: "UTC",
      DateStyle: "ISO",
      statement_timeout: statementTimeoutMs,
      lock_timeout: LOCK_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    },
    types: TYPES,
  };
  return postgres(options.url, settings);
}

/**
 * PostgreSQL's text for a moment as the old server's driver and JSON.stringify showed it: its
 * microseconds cut, infinity as null.
 */
function toIsoText(text: string): string | null {
  const moment = parseMoment(text);
  return moment instanceof Date && !Number.isNaN(moment.getTime()) ? moment.toISOString() : null;
}

/** Where PostgreSQL listens, as postgres.js tells it. */
export interface Target {
  readonly host: string[];
  readonly port: number[];
  readonly path: string | false;
}

/** @param silenceMs how long an answer may take before the connection is dropped; 0: for ever */
export function openSocket({ host, port, path }: Target, silenceMs: number): net.Socket {
  const socket = path ? net.connect(path) : net.connect(port[0] ?? 5432, host[0] ?? "localhost");
  let answered = 0;
  socket.on("data", () => answered = socket.bytesWritten);
  // 0 is no timeout here as well.
  socket.setTimeout(silenceMs);
  // A connection that merely has nothing to do is silent as well, and may stay.
  socket.on("timeout", () => {
    if (socket.bytesWritten > answered) socket.destroy();
  });
  return socket;
}
