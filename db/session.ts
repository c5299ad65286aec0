import postgres from "postgres";
import { collectRows, intercept, onFailure, onResult } from "./driver.ts";
import { LinkError } from "./link_error.ts";
import { isOtherPooler, isResponse, isWrongServer } from "./pg_errors.ts";
import { forgetPooler } from "./pooler.ts";
import { reportWrongServer } from "./servers.ts";
import {
  addressOf,
  type SessionOptions,
  settingsOf,
  startupParameters,
} from "./session_settings.ts";
import { watchSilence } from "./silence.ts";
import type { Sql } from "./sql.ts";
import { traceStatement } from "./statement_span.ts";
import { isTracing } from "../telemetry/tracing.ts";
import { Opener } from "./startup.ts";
import { createRoute } from "./statement_route.ts";

/** One connection to PostgreSQL; disposing closes it. */
export interface Session extends AsyncDisposable {
  readonly sql: Sql;
  /** False after a failure that may affect the next statement. */
  readonly isUsable: boolean;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** How much later than PostgreSQL's own timeout a response may come, in ms. */
const LINK_SLACK_MS = 1_000;
/** How long running statements may take when a session ends, in s. */
const END_TIMEOUT_S = 1;

/** Thrown by a statement that was to follow others on a lost connection. */
class SessionLostError extends Error {
  override name = "SessionLostError";
  /** The code that postgres.js has for a statement that was sent. */
  readonly code = "CONNECTION_CLOSED";
}

const lost = () => new SessionLostError("the connection of a session is lost");

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
      route.onReady(socket, {
        onStart: silence.received,
        onBroken: (error) => opener.fail(error),
      });
    },
    // Waiting statements would be sent over a new connection, outside their transaction.
    lost,
  });
  let isUsable = true;
  const route = createRoute(address, options, {
    open: opener.open,
    // No connection was opened, so none ends.
    onUnknown: () => options.onEnd?.(),
    lost,
  });
  const openedAt = performance.now();
  const connection: Sql = postgres({
    ...settingsOf(address, startupParameters(address, options), route.open),
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
      if (isTracing) traceStatement(query);
      const arrived = collectRows(query);
      onFailure(query, (error) => {
        silence.settled();
        // A read-only session refuses writes on every server.
        if (isWrongServer(error) && !options.readOnly) reportWrongServer(url, openedAt);
        if (isOtherPooler(error)) forgetPooler(address);
        if (isResponse(error) && !arrived.hasRows) return;
        isUsable = false;
        // Those behind it were sent already and have results of their own.
        void end({ timeout: END_TIMEOUT_S });
      });
      onResult(query, silence.settled);
      silence.sent();
      route.run(query, send);
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
