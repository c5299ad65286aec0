import { describeError, limitRepeats, type Log } from "../log.ts";
import { delay } from "../timing.ts";
import { codeVersion } from "../version.ts";
import { isMissingRight, isMissingTable, isUnavailable } from "./pg_errors.ts";
import { oneRow } from "./one_row.ts";
import { knownPooler } from "./pooler.ts";
import { queryWithDeadline, timed } from "./query_deadline.ts";
import { addressOf } from "./session_settings.ts";
import type { Sql } from "./sql.ts";

/*
 * `lotline.processes`: a row for each process that runs. A process writes its own with the difference
 * between its clock and PostgreSQL's, so that clocks can be compared without a request for it.
 */

export type ProcessKind = "api" | "worker" | "gateway";

/** A process that wrote its row in the last {@link RUNNING_S} seconds. */
export interface RunningProcess {
  readonly kind: ProcessKind;
  /** Its address as PostgreSQL sees it; null over a unix socket. */
  readonly client: string | null;
  /** Null: not measured yet. */
  readonly clock: ClockReading | null;
  /** Its TIME_ZONE; null: not set. */
  readonly timeZone: string | null;
  /** Of its code; null: not known yet. */
  readonly version: string | null;
  /** The most connections of its pools; null: not known. */
  readonly connections: number | null;
  /** Whether they lead to a pooler. */
  readonly isPooled: boolean;
}

/** A clock beside PostgreSQL's, in ms. */
export interface ClockReading {
  readonly aheadMs: number;
  /** The true difference is at most this much more or less. */
  readonly errorMs: number;
}

const EVERY_MS = 2_000;
/** Each error is a line in PostgreSQL's log: without migrations it notes this many times less often. */
const REFUSED_FACTOR = 15;
/** Several times {@link EVERY_MS}: a busy process may be late. */
const RUNNING_S = 10;
const MAX_LISTED = 1_000;

/** This process, whose clock is compared with each note. */
export interface NotedProcess extends Disposable {
  /** Undefined: PostgreSQL has not responded to the last note. */
  readonly clock: ClockReading | undefined;
}

interface NoteOptions {
  readonly sql: Sql;
  /** The address of `sql`. */
  readonly url: string;
  readonly kind: ProcessKind;
  /** The most connections of the process's pools. */
  readonly connections: number;
  /** Its TIME_ZONE. */
  readonly timeZone?: string | undefined;
  readonly log: Log;
  readonly everyMs?: number;
}

/** Notes in the database that this process runs, until disposed. */
export function noteProcess(
  { sql, url, kind, connections, timeZone, log, everyMs = EVERY_MS }: NoteOptions,
): NotedProcess {
  const end = new AbortController();
  const id = crypto.randomUUID();
  const logLimited = limitRepeats(log);
  let clock: ClockReading | undefined;
  let version: string | undefined;
  const note = async () => {
    const at = Date.now();
    const began = performance.now();
    const query = sql<{ serverMs: number }[]>`
      select lotline.note_process(
        ${id}, ${kind}, ${version ?? null}, ${timeZone ?? null}, ${connections}, ${isPooled(url)},
        ${clock?.aheadMs ?? null}, ${clock?.errorMs ?? null}
      ) as "serverMs"`;
    const { serverMs } = oneRow(await queryWithDeadline(sql, query));
    clock = readingOf(at, performance.now() - began, serverMs);
  };
  const follow = async () => {
    while (!end.signal.aborted) {
      let waitMs = everyMs;
      await note().catch((error) => {
        clock = undefined;
        if (isRefused(error)) waitMs = everyMs * REFUSED_FACTOR;
        // What makes the database unavailable has an event of its own.
        if (end.signal.aborted || isUnavailable(error)) return;
        logLimited("note", "warn", "process_not_noted", { error: describeError(error) });
      });
      await delay(waitMs, end.signal);
      // After the first note, so that it delays no start.
      version ??= await codeVersion();
    }
  };
  void follow();
  return {
    get clock() {
      return clock;
    },
    [Symbol.dispose]: () => end.abort(),
  };
}

/** Whether the next note will fail for the same reason. */
const isRefused = (error: unknown) =>
  !isUnavailable(error) || isMissingTable(error) || isMissingRight(error);

/** Null: not known yet. */
function isPooled(url: string): boolean | null {
  const pooler = knownPooler(addressOf(url));
  return pooler === undefined ? null : pooler.kind !== "none";
}

/** @param sentAt this process's time when it sent the statement that returned PostgreSQL's */
export function readingOf(sentAt: number, tookMs: number, serverMs: number): ClockReading {
  return { aheadMs: sentAt + tookMs / 2 - serverMs, errorMs: tookMs / 2 };
}

/** Compares this process's clock with PostgreSQL's. */
export async function readClock(sql: Sql): Promise<ClockReading> {
  const at = Date.now();
  const began = performance.now();
  const rows = await timed(sql)<{ serverMs: number }[]>`
    select (extract(epoch from clock_timestamp()) * 1000)::float8 as "serverMs"`;
  return readingOf(at, performance.now() - began, oneRow(rows).serverMs);
}

export async function listRunningProcesses(sql: Sql): Promise<readonly RunningProcess[]> {
  return await timed(sql)<RunningProcess[]>`
    select kind, host(client) as client, time_zone as "timeZone", version, connections,
      coalesce(is_pooled, false) as "isPooled",
      case when clock_ahead_ms is not null then
        jsonb_build_object('aheadMs', clock_ahead_ms, 'errorMs', clock_error_ms)
      end as clock
    from lotline.processes
    where seen_at > clock_timestamp() - make_interval(secs => ${RUNNING_S})
    order by kind, client, id limit ${MAX_LISTED}`;
}
