import type { Sql } from "../db/sql.ts";
import type { Session } from "../db/session.ts";
import { type Direction, findTraceById, finishTrace, insertTrace } from "../db/traces.ts";
import { inSnapshot } from "../lineage/snapshot.ts";
import { type TakeOptions, takeTrace, TRACE_SETTINGS } from "../lineage/take_trace.ts";
import { pageOf } from "../routes/deep_trace_result.ts";
import { DeepTrace } from "../routes/deep_trace_shapes.ts";

export const OPTIONS = { signal: new AbortController().signal, settings: TRACE_SETTINGS };

export interface Requested {
  readonly lotCode: string;
  readonly direction: Direction;
  readonly maxDepth?: number | null;
  readonly atMost?: number;
}

/** Takes a trace; returns its result as the API does, in one page. */
export async function resultOf(
  sql: Sql,
  session: Session,
  requested: Requested,
  { before = () => Promise.resolve(), onSecondSession = (snapshot, work) => work(snapshot) }: {
    before?: () => Promise<void>;
    onSecondSession?: TakeOptions["onSecondSession"];
  } = {},
) {
  const id = crypto.randomUUID();
  const request = { maxDepth: null, atMost: 10_000, ...requested, id };
  const lotId = await insertTrace(sql, request, null);
  if (lotId === undefined) throw new Error(`no lot ${requested.lotCode}`);
  await inSnapshot(session, OPTIONS, async (snapshot) => {
    await before();
    const result = await takeTrace(snapshot, { ...request, lotId }, {
      attemptId: crypto.randomUUID(),
      onLevel: () => {},
      onSecondSession,
    });
    await finishTrace(snapshot.sql, id, result);
  });
  const stored = await findTraceById(sql, id);
  if (stored === undefined) throw new Error("the trace is gone");
  const { result } = DeepTrace.parse(JSON.parse(await pageOf(sql, stored, { limit: 10_000 })));
  if (result === null) throw new Error("the trace is not done");
  return result;
}
