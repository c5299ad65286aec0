import { type AuditOptions, runAudit } from "../audit/run_audit.ts";
import type { AuditResult } from "../db/audits.ts";
import type { SessionPool } from "../db/session_pool.ts";
import type { OpenTrace, TraceResult } from "../db/traces.ts";
import { inSameSnapshot, inSnapshot } from "../lineage/snapshot.ts";
import { takeTrace, TRACE_SETTINGS } from "../lineage/take_trace.ts";

/*
 * Work that grows with the plant runs on threads of its own, with connections of their own, so that the
 * worker's main thread can renew leases and relay. Arguments and results are small plain data.
 */

/** What a task may use on its thread. */
export interface TaskContext {
  readonly sessions: SessionPool;
  /** Reports progress; throws when the task must stop. */
  progress(soFar: Readonly<Record<string, number>>): void;
  /** Called regularly while the task computes; throws when it must stop. */
  checkpoint(): void;
}

type Task = (args: never, context: TaskContext) => Promise<unknown>;

export type Tasks = Readonly<Record<string, Task>>;

export type ArgsOf<T extends Task> = Parameters<T>[0];
export type ResultOf<T extends Task> = Awaited<ReturnType<T>>;

// A thread is ended as a whole: this signal is never aborted.
const { signal } = new AbortController();

const TRACE_OPTIONS = {
  signal,
  settings: {
    ...TRACE_SETTINGS,
    // The effect's commit waits for the disk, and so for all earlier writes.
    synchronous_commit: "off",
    // One of the two sessions is idle until the other has finished.
    idle_in_transaction_session_timeout: "5min",
  },
};

export const HEAVY_TASKS = {
  /** Takes a deep trace and stores its lots and links under the attempt's id. */
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

  /** Audits the genealogy and stores its findings under the attempt's id. */
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
