import { type AuditOptions, type AuditResult, runAudit } from "../audit/run_audit.ts";
import type { SessionPool } from "../db/session_pool.ts";
import type { OpenTrace, TraceResult } from "../db/traces.ts";
import { inSameSnapshot, inSnapshot } from "../lineage/snapshot.ts";
import { takeTrace, TRACE_SETTINGS } from "../lineage/take_trace.ts";

/*
 * What jobs have done on threads of their own, with connections of their own: whatever reads, sorts
 * or searches as much as a plant has, so that the worker's own thread renews leases and relays.
 * Arguments and results are sent from thread to thread: plain data, and small.
 */

/** What a task may use on its thread. */
export interface TaskContext {
  readonly sessions: SessionPool;
  /** Says how far the task is; throws when it is to stop. */
  progress(soFar: Readonly<Record<string, number | string>>): void;
  /** Called now and then while the task computes; throws when it is to stop. */
  checkpoint(): void;
}

/** Some work; it ends by throwing when its context says so, or when its thread is ended. */
export type Task = (args: never, context: TaskContext) => Promise<unknown>;

export type Tasks = Readonly<Record<string, Task>>;

/** What a task is given. */
export type ArgsOf<T extends Task> = Parameters<T>[0];
/** What a task gives back. */
export type ResultOf<T extends Task> = T extends (...call: never) => Promise<infer Result> ? Result
  : never;

// A thread is ended as a whole, so nothing on it waits for a signal.
const { signal } = new AbortController();

const TRACE_OPTIONS = {
  signal,
  settings: {
    ...TRACE_SETTINGS,
    // The effect waits for the disk, and what was written before it is on the disk then, too.
    synchronous_commit: "off",
    // One of the two sessions is idle until the other is through.
    idle_in_transaction_session_timeout: "5min",
  },
};

export const HEAVY_TASKS = {
  /** Takes a deep trace and stores its lots and links under the name of a run. */
  takeTrace(
    { trace, run: attemptId }: { readonly trace: OpenTrace; readonly run: string },
    { sessions, progress, checkpoint }: TaskContext,
  ): Promise<TraceResult> {
    return sessions.use((session) =>
      inSnapshot(session, TRACE_OPTIONS, (snapshot) =>
        takeTrace(snapshot, trace, {
          attemptId,
          onLevel: (lots, depth) => progress({ lots, depth }),
          onCycleSteps: checkpoint,
          onSecondSession: (snapshot, work) =>
            sessions.use((second) => inSameSnapshot(snapshot, second, TRACE_OPTIONS, work)),
        }))
    );
  },

  /** Audits the genealogy and writes its findings under the name of a run. */
  audit(
    { attemptId, limits }: Pick<AuditOptions, "attemptId" | "limits">,
    { sessions, progress, checkpoint }: TaskContext,
  ): Promise<AuditResult> {
    return sessions.use((session) =>
      runAudit(session, { attemptId, limits, signal, progress, onCycleSteps: checkpoint })
    );
  },
} satisfies Tasks;

export type HeavyTasks = typeof HEAVY_TASKS;
