import { type IdempotencyKey, saveKey } from "../db/idempotency_keys.ts";
import type { Replica } from "../db/replica.ts";
import type { ReplicaMark } from "../db/replica_marks.ts";
import { isLockTimeout, isStatementTimeout } from "../db/pg_errors.ts";
import { QueryDeadlineError } from "../db/query_deadline.ts";
import { createSessionPool } from "../db/session_pool.ts";
import type { Session } from "../db/session.ts";
import { insertChunk, type TraceChunk } from "../db/trace_chunks.ts";
import { finishTrace, type OpenTrace, type TraceResult } from "../db/traces.ts";
import { inReplicaSnapshot, ReplicaBehindError } from "./replica_snapshot.ts";
import { inSnapshot, type Snapshot } from "./snapshot.ts";
import { takeTrace, TRACE_SETTINGS } from "./take_trace.ts";

export type InlineTracer = ReturnType<typeof createInlineTracer>;

/** The most time for a trace, and for each statement, in ms. */
export const BUDGET_MS = 200;
/** The most lots of a trace; more would take longer than the budget. */
const MAX_LOTS = 5_000;
/** The most steps of the search for cycles: some 20 ms, in which the process does nothing else. */
const MAX_CYCLE_STEPS = 200_000;
/** Each has a connection. */
const MAX_CONCURRENT = 4;
const RESPONSE_TIMEOUT_MS = 5_000;
/** The same of the replica, after which the primary is read. */
const REPLICA_TIMEOUT_MS = 1_000;
/** The most that this process holds of a trace on its way from the replica to the primary. */
const MAX_READ_LETTERS = 8_000_000;
/** How long a replica may take to show what was committed before the request, in ms. */
const REPLICA_WAIT_MS = 100;
/** How long an idle connection is kept for the next trace, in ms. */
const IDLE_MS = 60_000;

class OverBudget extends Error {
  override name = "OverBudget";
}

/** The replica of a tracer. */
interface TracedReplica {
  readonly watch: Replica;
  /** Opens a session there. */
  readonly open: (onEnd: () => void) => Session;
  /** Counts where traces are read. */
  readonly onRead: (from: "replica" | "primary") => void;
}

/** A trace that a replica has given, in memory: its size is bounded. */
interface ReadTrace {
  readonly result: TraceResult;
  readonly chunks: readonly TraceChunk[];
}

const OPTIONS = { settings: TRACE_SETTINGS };

/**
 * Takes small traces while their clients wait.
 *
 * @param open opens a session whose statements time out after {@link BUDGET_MS}
 * @param address of the sessions
 */
export function createInlineTracer(
  open: (onEnd: () => void) => Session,
  address: string,
  replica?: TracedReplica,
) {
  const sessions = createSessionPool(open, IDLE_MS, address, { name: "lotline-traces" });
  const replicaSessions = replica &&
    createSessionPool(replica.open, IDLE_MS, replica.watch.url, { name: "lotline-replica-traces" });
  let active = 0;

  /** Takes the trace in a snapshot; `sink` receives its chunks if its server can't store them. */
  const takeIn = (
    snapshot: Snapshot,
    trace: OpenTrace,
    sink?: (chunk: TraceChunk) => Promise<void>,
  ): Promise<TraceResult> => {
    const started = performance.now();
    const bounded = { ...trace, atMost: Math.min(trace.atMost, MAX_LOTS + 1) };
    return takeTrace(snapshot, bounded, {
      attemptId: crypto.randomUUID(),
      onLevel(lots) {
        if (lots > MAX_LOTS || performance.now() - started > BUDGET_MS) throw new OverBudget();
      },
      onCycleSteps(steps) {
        if (steps > MAX_CYCLE_STEPS) throw new OverBudget();
      },
      // In one transaction: nothing remains of a trace that isn't done in time.
      onSecondSession: (snapshot, work) => work(snapshot),
      sink,
    });
  };

  /** Reads a trace on the replica; undefined when that fails. @throws the client's reason */
  const readReplica = async (
    trace: OpenTrace,
    mark: ReplicaMark,
    client: AbortSignal,
  ): Promise<ReadTrace | "over budget" | undefined> => {
    const signal = AbortSignal.any([client, AbortSignal.timeout(REPLICA_TIMEOUT_MS)]);
    const options = { ...OPTIONS, signal, waitMs: REPLICA_WAIT_MS };
    const chunks: TraceChunk[] = [];
    let size = 0;
    const sink = (chunk: TraceChunk) => {
      size += chunk.body.length;
      if (size > MAX_READ_LETTERS) return Promise.reject(new OverBudget());
      return Promise.resolve(void chunks.push(chunk));
    };
    const read = async (session: Session) => {
      try {
        const take = (snapshot: Snapshot) => takeIn(snapshot, trace, sink);
        return { result: await inReplicaSnapshot(session, mark, options, take), chunks };
      } catch (error) {
        // The session is as good as before.
        if (isOverBudget(error)) return "over budget";
        if (error instanceof ReplicaBehindError) return error;
        throw error;
      }
    };
    try {
      const found = await replicaSessions?.use(read);
      if (!(found instanceof Error)) return found;
      replica?.watch.failed("deep_trace", found);
    } catch (error) {
      if (client.aborted) throw error;
      replica?.watch.failed("deep_trace", error);
    }
    return undefined;
  };

  /** Takes or stores a trace on the primary; returns whether it is done. */
  const finishOnPrimary = async (
    session: Session,
    trace: OpenTrace,
    read: ReadTrace | undefined,
    signal: AbortSignal,
    key?: IdempotencyKey,
  ): Promise<boolean> => {
    try {
      await inSnapshot(session, { ...OPTIONS, signal }, async (snapshot) => {
        const { sql } = snapshot;
        const result = read?.result ?? await takeIn(snapshot, trace);
        for (const chunk of read?.chunks ?? []) {
          await insertChunk(sql, result.attemptId, chunk, false);
        }
        if (!await finishTrace(sql, trace.id, result)) {
          // Rolls back: nothing of the request may be stored, in particular its key.
          throw new Error("the trace is gone or done already");
        }
        if (key !== undefined) await saveKey(sql, key, trace.id);
      });
      return true;
    } catch (error) {
      if (isOverBudget(error)) return false;
      throw error;
    }
  };

  return {
    /** Whether a trace with a mark would be read on the replica now. */
    get readsReplica() {
      return replica !== undefined && replica.watch.problem === undefined;
    },
    /**
     * Takes a trace and stores its result. It stops, and stores nothing, when the trace takes too long
     * or has too many lots, or when {@link MAX_CONCURRENT} others run. A trace with a mark is read on
     * the replica, or on the primary when that fails.
     *
     * @param client ends the work
     * @param key is stored with the result
     * @returns whether the trace is done
     * @throws {QueryDeadlineError} when PostgreSQL doesn't respond
     */
    async take(
      trace: OpenTrace,
      client: AbortSignal,
      key?: IdempotencyKey,
      mark?: ReplicaMark,
    ): Promise<boolean> {
      if (active === MAX_CONCURRENT) return false;
      active++;
      try {
        const read = mark && await readReplica(trace, mark, client);
        replica?.onRead(read === undefined ? "primary" : "replica");
        if (read === "over budget") return false;
        return await withinTimeout(
          client,
          (signal) => sessions.use((session) => finishOnPrimary(session, trace, read, signal, key)),
        );
      } finally {
        active--;
      }
    },
    [Symbol.dispose]: () => {
      void sessions[Symbol.asyncDispose]();
      void replicaSessions?.[Symbol.asyncDispose]();
    },
  };
}

/** @throws {QueryDeadlineError} when it takes longer than {@link RESPONSE_TIMEOUT_MS} */
async function withinTimeout<T>(
  client: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeout = AbortSignal.timeout(RESPONSE_TIMEOUT_MS);
  try {
    return await work(AbortSignal.any([client, timeout]));
  } catch (error) {
    if (!timeout.aborted) throw error;
    throw new QueryDeadlineError(`no answer from PostgreSQL in ${RESPONSE_TIMEOUT_MS} ms`);
  }
}

/** Whether a trace, or a statement of it, takes too long for an immediate response. */
const isOverBudget = (error: unknown) =>
  error instanceof OverBudget || isStatementTimeout(error) || isLockTimeout(error);
