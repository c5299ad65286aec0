import { parseRecordings, type Recordings } from "../parity/recordings.ts";
import type { Sql } from "../../db/sql.ts";
import { delay } from "../../timing.ts";
import { collectRecording, type RecordingOrder, startRecording } from "./recordings_table.ts";

// A gateway looks once a second what is wanted, and stores what it has once a second.
const LAST_STORED_MS = 2_500;

/**
 * Lets the gateways record what clients are answered, and gives that as recordings. Every exchange is
 * a scenario of its own.
 *
 * @param stop ends it early, with what there is
 * @returns undefined when there are too many recordings at once, "nothing" when none came
 */
export async function recordLive(
  sql: Sql,
  order: RecordingOrder,
  stop: AbortSignal,
): Promise<Recordings | "nothing" | undefined> {
  const id = await startRecording(sql, order);
  if (id === undefined) return undefined;
  await delay(order.seconds * 1_000 + LAST_STORED_MS, stop);
  const { from, to, exchanges } = await collectRecording(sql, id) ?? {};
  if (exchanges === undefined || exchanges.length === 0) return "nothing";
  const numbers = new Map<string, number>();
  const scenarios = exchanges.map(({ operation, exchange }) => {
    const number = (numbers.get(operation) ?? 0) + 1;
    numbers.set(operation, number);
    return { name: `${operation} ${number}`, steps: [exchange] };
  });
  return parseRecordings({ recorded: { from, to }, live: true, scenarios });
}
