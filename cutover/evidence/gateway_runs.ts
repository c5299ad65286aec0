import type { Sql } from "../../db/sql.ts";
import { isUnavailable } from "../../db/pg_errors.ts";
import { timed } from "../../db/query_deadline.ts";
import { describeError, limitRepeats, type Log } from "../../log.ts";
import { delay } from "../../timing.ts";
import type { Build } from "../build.ts";

/*
 * `lotline.gateway_runs`: when a gateway process could store its evidence. Comparisons that are missing
 * from a time without a gateway are no sign of a quiet plant.
 */

const EVERY_MS = 10_000;
/** A process that was silent for longer begins a new row. */
export const MAX_SILENCE = "1 minute";
/** A gateway that starts again and again must not fill the table. */
const MAX_ROWS = 10_000;

/** Notes in the database that this gateway runs, until disposed. Without PostgreSQL it notes nothing. */
export function noteRun(
  { sql, build, log, everyMs = EVERY_MS }: {
    readonly sql: Sql;
    readonly build: Build;
    readonly log: Log;
    readonly everyMs?: number;
  },
): Disposable {
  const end = new AbortController();
  const logLimited = limitRepeats(log);
  let id = crypto.randomUUID();
  const note = async () => {
    if (await prolong(sql, id)) return;
    id = crypto.randomUUID();
    await begin(sql, id, build);
  };
  void (async () => {
    while (!end.signal.aborted) {
      await note().catch((error) => {
        // What makes the database unavailable has an event of its own.
        if (end.signal.aborted || isUnavailable(error)) return;
        logLimited("run", "warn", "process_not_noted", { error: describeError(error) });
      });
      await delay(everyMs, end.signal);
    }
  })();
  return { [Symbol.dispose]: () => end.abort() };
}

/** Whether a gateway could store its evidence in the last minute. */
export async function isGatewayRunning(sql: Sql): Promise<boolean> {
  const rows = await timed(sql)`
    select from lotline.gateway_runs where seen_at > now() - ${MAX_SILENCE}::interval limit 1`;
  return rows.length > 0;
}

/** False: there is no such run, or it ended because it was silent for too long. */
async function prolong(sql: Sql, id: string): Promise<boolean> {
  const { count } = await timed(sql)`
    update lotline.gateway_runs set seen_at = now()
    where id = ${id} and seen_at > now() - ${MAX_SILENCE}::interval`;
  return count > 0;
}

async function begin(sql: Sql, id: string, { version, commit }: Build): Promise<void> {
  await timed(sql)`
    with crowded as (
      delete from lotline.gateway_runs where id in (
        select id from lotline.gateway_runs order by seen_at desc offset ${MAX_ROWS - 1}
      )
    )
    insert into lotline.gateway_runs (id, version, commit)
    values (${id}, ${version}, ${commit ?? null})`;
}
