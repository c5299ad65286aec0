import type { Sql } from "../../db/sql.ts";
import { describeError, type Log } from "../../log.ts";
import { delay } from "../../timing.ts";
import type { Observation } from "../exchange/exchange.ts";
import { LEGACY_OPERATIONS } from "../exchange/operations.ts";
import type { Redactor } from "../redact/redact.ts";
import { isRecordable, MAX_BODY_CHARACTERS, recordedExchange } from "./recorded_exchange.ts";
import { insertExchanges, listWanted, type SeenExchange } from "./recordings_table.ts";

export type Offered = Pick<Observation, "operation" | "upstream" | "request" | "response" | "at">;

/** Keeps exchanges for a recording that was started with `deno task parity record --live`. */
export interface Recorder extends AsyncDisposable {
  /** Whether an exchange with this side would be taken now. */
  wants(operation: Offered["operation"], upstream: Offered["upstream"]): boolean;
  /** Takes an exchange if one is wanted. Costs next to nothing, never waits and never throws. */
  offer(exchange: Offered): void;
}

// Between two looks. With bodies of 64 kB at most, this bounds the memory too.
const MAX_WAITING = 100;
// Redacting a long body takes a millisecond or so; requests come in between.
const REDACTED_AT_ONCE = 5;

/**
 * Starts a recorder. It reads from PostgreSQL whether a recording is on; while that is unavailable, it
 * takes nothing. Personal data is replaced before anything leaves the memory.
 */
export function createRecorder({ sql, redactor, log, everyMs = 1_000 }: {
  readonly sql: Sql;
  readonly redactor: Pick<Redactor, "exchange">;
  readonly log: Log;
  readonly everyMs?: number;
}): Recorder {
  let room = new Map<string, number>();
  let waiting: Offered[] = [];
  let isDatabaseDown = false;
  const over = new AbortController();

  const store = async () => {
    const taken = waiting;
    waiting = [];
    const seen: SeenExchange[] = [];
    for (const [number, one] of taken.entries()) {
      if (number % REDACTED_AT_ONCE === REDACTED_AT_ONCE - 1) await delay(0);
      if (!isRecordable(one.request, one.response)) continue;
      const { operation, upstream: side, at } = one;
      seen.push({ operation, side, at, exchange: recordedExchange(one, redactor) });
    }
    if (seen.length > 0) await insertExchanges(sql, seen);
  };

  const poll = async () => {
    while (!over.signal.aborted) {
      try {
        await store();
        room = roomOf(await listWanted(sql));
        if (isDatabaseDown) log("info", "recorder_recovered");
        isDatabaseDown = false;
      } catch (error) {
        room = new Map();
        if (!isDatabaseDown) log("warn", "recorder_failed", { error: describeError(error) });
        isDatabaseDown = true;
      }
      await delay(everyMs, over.signal);
    }
  };
  const polling = poll();

  const roomFor = (kind: string) => waiting.length < MAX_WAITING ? room.get(kind) ?? 0 : 0;
  return {
    wants: (operation, upstream) => room.size > 0 && roomFor(kindOf({ upstream, operation })) > 0,
    offer(exchange) {
      const kind = kindOf(exchange);
      const left = roomFor(kind);
      if (left === 0) return;
      // Here, since what waits is held in memory; all else is looked at later.
      const { request, response } = exchange;
      if (Math.max(request.body.length, response.body.length) > MAX_BODY_CHARACTERS) return;
      room.set(kind, left - 1);
      waiting.push(exchange);
    },
    [Symbol.asyncDispose]: async () => {
      over.abort();
      await polling;
      room = new Map();
      await store().catch((error) =>
        log("warn", "recorder_lost_exchanges", { error: describeError(error) })
      );
    },
  };
}

function kindOf({ upstream, operation }: { upstream: string; operation: string }): string {
  return `${upstream} ${operation}`;
}

function roomOf(wanted: Awaited<ReturnType<typeof listWanted>>): Map<string, number> {
  const room = new Map<string, number>();
  for (const { side: upstream, perOperation, stored } of wanted) {
    for (const operation of LEGACY_OPERATIONS) {
      const kind = kindOf({ upstream, operation });
      const left = Math.max(0, perOperation - (stored[operation] ?? 0));
      room.set(kind, Math.max(room.get(kind) ?? 0, left));
    }
  }
  return room;
}
