import { describeError, type Log } from "../log.ts";
import { delay } from "../timing.ts";
import { isMissingRight, isUnavailable } from "./pg_errors.ts";
import { oneRow } from "./one_row.ts";
import { timed } from "./query_deadline.ts";
import type { Sql } from "./sql.ts";

/** Which database a process uses, as it was last read. Disposing ends the reading. */
export interface DatabaseIdentity extends Disposable {
  /** Undefined: not read yet. */
  readonly current: string | undefined;
  /** Resolves when it was read for the first time. */
  readonly known: Promise<void>;
}

/** Another server may be behind the same address after this long, in ms. */
const EVERY_MS = 10_000;
const RETRY_MS = 300;

/** Reads the database's identity until disposed. */
export function followIdentity(
  { sql, log, everyMs = EVERY_MS }: {
    readonly sql: Sql;
    readonly log: Log;
    readonly everyMs?: number;
  },
): DatabaseIdentity {
  const end = new AbortController();
  let current: string | undefined;
  let isLogged = false;
  const first = Promise.withResolvers<void>();
  const follow = async () => {
    while (!end.signal.aborted) {
      let waitMs = everyMs;
      try {
        current = await readIdentity(sql);
        first.resolve();
      } catch (error) {
        // What makes the database unavailable has an event of its own.
        if (isUnavailable(error) && !isMissingRight(error)) waitMs = RETRY_MS;
        else if (!isLogged && !end.signal.aborted) {
          isLogged = true;
          log("warn", "identity_unreadable", { error: describeError(error) });
        }
      }
      await delay(waitMs, end.signal);
    }
  };
  void follow();
  return {
    get current() {
      return current;
    },
    known: first.promise,
    [Symbol.dispose]: () => end.abort(),
  };
}

/**
 * What a database has in common with its standbys, and with no other database: neither with one on
 * the same server, nor with a restored dump of it.
 */
export async function readIdentity(sql: Sql): Promise<string> {
  const rows = await timed(sql)<{ identity: string }[]>`
    select system_identifier || '-' || oid as identity
    from pg_control_system(), pg_database where datname = current_database()`;
  return oneRow(rows).identity;
}
