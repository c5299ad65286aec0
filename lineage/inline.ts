import { type IdempotencyKey, saveKey } from "../db/idempotency_keys.ts";
import { isLockTimeout, isStatementTimeout } from "../db/pg_errors.ts";
import { QueryDeadlineError } from "../db/query_deadline.ts";
import { createSessionPool } from "../db/session_pool.ts";
import type { Session } from "../db/session.ts";
import { finishTrace, type OpenTrace } from "../db/traces.ts";
import { inSnapshot } from "./snapshot.ts";
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
/** How long an idle connection is kept for the next trace, in ms. */
const IDLE_MS = 60_000;

class OverBudget extends Error {
  override name = "OverBudget";
}

/**
 * Takes small traces while their clients wait.
 *
 * @param open opens a session whose statements time out after {@link BUDGET_MS}
 * @param address of the sessions
 */
export function createInlineTracer(open: (onEnd: () => void) => Session, address: string) {
  const sessions = createSessionPool(open, IDLE_MS, address);
  let active = 0;

  const tryTrace = async (
    session: Session,
    trace: OpenTrace,
    signal: AbortSignal,
    key?: IdempotencyKey,
  ): Promise<boolean> => {
    const started = performance.now();
    try {
      await inSnapshot(session, { signal, settings: TRACE_SETTINGS }, async (snapshot) => {
        const bounded = { ...trace, atMost: Math.min(trace.atMost, MAX_LOTS + 1) };
        const result = await takeTrace(snapshot, bounded, {
          attemptId: crypto.randomUUID(),
          onLevel(lots) {
            if (lots > MAX_LOTS || performance.now() - started > BUDGET_MS) throw new OverBudget();
          },
          onCycleSteps(steps) {
            if (steps > MAX_CYCLE_STEPS) throw new OverBudget();
          },
          // In one transaction: nothing remains of a trace that isn't done in time.
          onSecondSession: (snapshot, work) => work(snapshot),
        });
        if (!await finishTrace(snapshot.sql, trace.id, result)) {
          // Rolls back: nothing of the request may be stored, in particular its key.
          throw new Error("the trace is gone or done already");
        }
        if (key !== undefined) await saveKey(snapshot.sql, key, trace.id);
      });
      return true;
    } catch (error) {
      if (error instanceof OverBudget || isStatementTimeout(error) || isLockTimeout(error)) {
        return false;
      }
      throw error;
    }
  };

  return {
    /**
     * Takes a trace and stores its result. It stops, and stores nothing, when the trace takes too long
     * or has too many lots, or when {@link MAX_CONCURRENT} others run.
     *
     * @param client ends the work
     * @param key is stored with the result
     * @returns whether the trace is done
     * @throws {QueryDeadlineError} when PostgreSQL doesn't respond
     */
    async take(trace: OpenTrace, client: AbortSignal, key?: IdempotencyKey): Promise<boolean> {
      if (active === MAX_CONCURRENT) return false;
      active++;
      const timeout = AbortSignal.timeout(RESPONSE_TIMEOUT_MS);
      const signal = AbortSignal.any([client, timeout]);
      try {
        return await sessions.use((session) => tryTrace(session, trace, signal, key));
      } catch (error) {
        if (!timeout.aborted) throw error;
        throw new QueryDeadlineError(`no answer from PostgreSQL in ${RESPONSE_TIMEOUT_MS} ms`);
      } finally {
        active--;
      }
    },
    [Symbol.dispose]: () => void sessions[Symbol.asyncDispose](),
  };
}
