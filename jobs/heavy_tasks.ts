import { insertFindings } from "../audit/findings.ts";
import { type AuditOptions, runAudit } from "../audit/run_audit.ts";
import type { AuditResult } from "../db/audits.ts";
import type { ReplicaMark } from "../db/replica_marks.ts";
import { MAX_LAG_MS } from "../db/replica.ts";
import type { SessionPool } from "../db/session_pool.ts";
import type { Sql } from "../db/sql.ts";
import type { OpenTrace, TraceResult } from "../db/traces.ts";
import { insertChunk } from "../db/trace_chunks.ts";
import { inReplicaSnapshot } from "../lineage/replica_snapshot.ts";
import { inSameSnapshot, inSnapshot } from "../lineage/snapshot.ts";
import { takeTrace, TRACE_SETTINGS } from "../lineage/take_trace.ts";
import type { OnLevel } from "../lineage/walk.ts";
import { StoreError } from "./store_error.ts";

/*
 * Work that grows with the plant runs on threads of its own, with connections of their own, so that the
 * worker's main thread can renew leases and relay. Arguments and results are small plain data.
 */

/** What a task may use on its thread. */
export interface TaskContext {
  readonly sessions: SessionPool;
  /** The replica, when the task is to read there, and what it has to show. */
  readonly replica?: { readonly sessions: SessionPool; readonly mark: ReplicaMark } | undefined;
  /** Reports progress; throws when the task must stop. */
  progress(soFar: Readonly<Record<string, number>>): void;
  /** Called regularly while the task computes; throws when it must stop. */
  checkpoint(): void;
}

type Task = (args: never, context: TaskContext) => Promise<unknown>;

export type Tasks = Readonly<Record<string, Task>>;

export type ArgsOf<T extends Task> = Parameters<T>[0];
export type ResultOf<T extends Task> = Awaited<ReturnType<T>>;

/** How long a replica may take to show what was committed before the job began, in ms. */
const REPLICA_WAIT_MS = MAX_LAG_MS;

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

const ON_REPLICA = {
  signal,
  waitMs: REPLICA_WAIT_MS,
  settings: { ...TRACE_SETTINGS, idle_in_transaction_session_timeout: "5min" },
};

/** Stores on the primary what a replica has given, in a transaction of its own. */
async function storeOn(sessions: SessionPool, store: (sql: Sql) => Promise<void>): Promise<void> {
  try {
    await sessions.use(({ sql }) => store(sql));
  } catch (cause) {
    throw new StoreError("what a replica gave could not be stored", { cause });
  }
}

export const HEAVY_TASKS = {
  /**
   * Takes a deep trace and stores its lots and links: under the attempt's id, or under an id of its
   * own when it reads a replica, since it may fail there half-way.
   */
  takeTrace(
    { trace, run: attemptId }: { readonly trace: OpenTrace; readonly run: string },
    { sessions, replica, progress, checkpoint }: TaskContext,
  ): Promise<TraceResult> {
    const onLevel: OnLevel = (lots, depth) => progress({ lots, depth });
    if (replica !== undefined) {
      const ownId = crypto.randomUUID();
      return replica.sessions.use((session) =>
        inReplicaSnapshot(
          session,
          replica.mark,
          ON_REPLICA,
          (snapshot) =>
            takeTrace(snapshot, trace, {
              attemptId: ownId,
              onLevel,
              onCycleSteps: checkpoint,
              onSecondSession: (same, work) => work(same),
              sink: (chunk) => storeOn(sessions, (sql) => insertChunk(sql, ownId, chunk, true)),
            }),
        )
      );
    }
    return sessions.use((session) =>
      inSnapshot(session, TRACE_OPTIONS, (snapshot) =>
        takeTrace(snapshot, trace, {
          attemptId,
          onLevel,
          onCycleSteps: checkpoint,
          onSecondSession: (snapshot, work) =>
            sessions.use((second) => inSameSnapshot(snapshot, second, TRACE_OPTIONS, work)),
        }))
    );
  },

  /** Audits the genealogy and stores its findings, under the ids of {@link takeTrace}. */
  audit(
    { attemptId, limits }: Pick<AuditOptions, "attemptId" | "limits">,
    { sessions, replica, progress, checkpoint }: TaskContext,
  ): Promise<AuditResult> {
    const options = { limits, signal, progress, onCycleSteps: checkpoint };
    if (replica !== undefined) {
      const ownId = crypto.randomUUID();
      return replica.sessions.use((session) =>
        runAudit(session, {
          ...options,
          attemptId: ownId,
          replica: {
            mark: replica.mark,
            waitMs: REPLICA_WAIT_MS,
            sink: (findings) => storeOn(sessions, (sql) => insertFindings(sql, ownId, findings)),
          },
        })
      );
    }
    return sessions.use((session) => runAudit(session, { ...options, attemptId }));
  },
} satisfies Tasks;

export type HeavyTasks = typeof HEAVY_TASKS;
