import { RefusedError } from "../../command_line.ts";
import type { Sql } from "../../db/sql.ts";
import { timed } from "../../db/query_deadline.ts";
import { delay } from "../../timing.ts";
import type { Observation } from "../exchange/exchange.ts";
import type { Upstream } from "../exchange/route.ts";
import { type Exchange, parseRecordings, type Recordings } from "../parity/recordings.ts";

/** Which exchanges are wanted, and how many of each operation. */
export interface RecordingOrder {
  /** Whose responses to clients. */
  readonly side: Upstream;
  /** From 1 to 1000. */
  readonly perOperation: number;
  /** For how long, from 1 to 3600 s. */
  readonly seconds: number;
}

export interface SeenExchange extends Pick<Observation, "operation" | "at"> {
  readonly side: Upstream;
  readonly exchange: Exchange;
}

// Each costs every gateway a look a second, and memory.
const MAX_CONCURRENT = 4;

/** How long a gateway waits, in ms, so that the poll of a second isn't held up. */
const DEADLINE_MS = 2_000;
/** A gateway looks for recordings once a second, and stores its exchanges once a second. */
const LAST_STORED_MS = 2_500;

/**
 * Lets the gateways record clients' exchanges and returns these as recordings. Every exchange is a
 * scenario of its own.
 *
 * @param stop ends it early, with the exchanges until then
 * @returns undefined without an exchange
 * @throws {RefusedError} when there are too many recordings at once
 */
export async function recordLive(
  sql: Sql,
  order: RecordingOrder,
  stop: AbortSignal,
): Promise<Recordings | undefined> {
  const id = await startRecording(sql, order);
  if (id === undefined) throw new RefusedError("Four recordings are running already");
  await delay(order.seconds * 1_000 + LAST_STORED_MS, stop);
  const { from, to, exchanges = [] } = await collectRecording(sql, id) ?? {};
  if (exchanges.length === 0) return undefined;
  const numbers = new Map<string, number>();
  const scenarios = exchanges.map(({ operation, exchange }) => {
    const number = (numbers.get(operation) ?? 0) + 1;
    numbers.set(operation, number);
    return { name: `${operation} ${number}`, steps: [exchange] };
  });
  return parseRecordings({ recorded: { from, to }, live: true, scenarios });
}

/** Switches a recording on: its id, or undefined when there are too many at once. */
export async function startRecording(
  sql: Sql,
  { side: upstream, perOperation, seconds }: RecordingOrder,
): Promise<string | undefined> {
  const [row] = await timed(sql)<{ id: string }[]>`
    insert into lotline.recordings (side, per_operation, until)
    select ${upstream}, ${perOperation}::integer, now() + make_interval(secs => ${seconds}::float8)
    where (select count(*) from lotline.recordings where until > now()) < ${MAX_CONCURRENT}
    returning id`;
  return row?.id;
}

/** The recordings that are on; in `stored`, an operation without any exchange is missing. */
export function listWanted(sql: Sql) {
  return timed(sql, DEADLINE_MS)<
    { side: Upstream; perOperation: number; stored: Record<string, number> }[]
  >`
    select side, per_operation as "perOperation", coalesce((
        select jsonb_object_agg(operation, number)
        from (
          select operation, count(*) as number from lotline.recorded_exchanges
          where recording = recordings.id group by operation
        ) by_operation
      ), '{}') as stored
    from lotline.recordings where until > now()`;
}

/**
 * Stores exchanges in every recording that wants them. What was seen in the last second of one comes
 * when it is over already, and is taken.
 */
export async function insertExchanges(sql: Sql, seen: readonly SeenExchange[]): Promise<void> {
  const rows = seen.map(({ at, ...one }) => ({ ...one, at: new Date(at).toISOString() }));
  await timed(sql, DEADLINE_MS)`
    with wanted as (
      select id, side, per_operation from lotline.recordings
      where until > now() - interval '5 seconds' for key share
    ),
    numbered as (
      select wanted.id, wanted.per_operation, seen.operation, seen.at, seen.exchange,
        row_number() over (partition by wanted.id, seen.operation order by seen.at) + coalesce((
          select max(slot) from lotline.recorded_exchanges stored
          where stored.recording = wanted.id and stored.operation = seen.operation
        ), 0) as slot
      from wanted
      join jsonb_to_recordset(${sql.json(rows)})
        as seen (operation text, side text, at timestamptz, exchange jsonb) using (side)
    )
    insert into lotline.recorded_exchanges (recording, operation, slot, seen_at, exchange)
    select id, operation, slot, at, exchange from numbered where slot <= per_operation
    on conflict do nothing`;
}

/** Ends a recording and removes its exchanges, oldest first; undefined: there is none. */
export async function collectRecording(sql: Sql, id: string) {
  const [row] = await timed(sql)<
    { from: string; to: string; exchanges: { operation: string; exchange: unknown }[] }[]
  >`
    with ended as (
      delete from lotline.recordings where id = ${id} returning started_at
    ),
    taken as (
      delete from lotline.recorded_exchanges where recording = ${id}
      returning operation, slot, seen_at, exchange
    )
    select started_at as "from", now() as "to", coalesce((
        select jsonb_agg(
          jsonb_build_object('operation', operation, 'exchange', exchange)
          order by seen_at, operation, slot
        ) from taken
      ), '[]') as exchanges
    from ended`;
  return row;
}
