import type { AuditResult } from "../db/audits.ts";
import { oneRow } from "../db/one_row.ts";
import type { Session } from "../db/session.ts";
import type { OnSteps } from "../lineage/cycles.ts";
import type { ReplicaMark } from "../db/replica_marks.ts";
import { inReplicaSnapshot } from "../lineage/replica_snapshot.ts";
import { inSnapshot, type Snapshot, type SnapshotOptions } from "../lineage/snapshot.ts";
import { searchCycles } from "./cycle_search.ts";
import {
  type Before,
  type FindingSink,
  type KindCount,
  readFindings,
  saveFindings,
} from "./findings.ts";
import { type AuditLimits, KIND_NAMES, type KindOfFinding, KINDS } from "./kinds.ts";

export interface AuditOptions {
  /** The id under which findings are stored; they count once an audit has it. */
  readonly attemptId: string;
  readonly limits: AuditLimits;
  readonly signal: AbortSignal;
  /** Called with how many `of` all kinds are `checked`. */
  progress(soFar: Readonly<Record<"checked" | "of" | "lots" | "links", number>>): void;
  readonly onCycleSteps?: OnSteps | undefined;
  /** Set when the session leads to a replica: `sink` stores what it can't. */
  readonly replica?: {
    readonly mark: ReplicaMark;
    readonly waitMs: number;
    readonly sink: FindingSink;
  };
}

// Bounds the memory of one sort or hash; a larger one uses PostgreSQL's disk.
const SETTINGS: SnapshotOptions["settings"] = { work_mem: "32MB" };

/**
 * Checks all lots, links and decisions at one moment for all kinds of findings, and stores the findings,
 * compared with the last audit that is done.
 *
 * PostgreSQL counts and compares with bounded memory and its disk. In this process only the search for
 * cycles takes memory that grows with the plant (see {@link searchCycles}).
 *
 * @throws the signal's reason when it is aborted, which closes the session
 */
export function runAudit(session: Session, options: AuditOptions): Promise<AuditResult> {
  const { attemptId, limits, signal, progress, onCycleSteps, replica } = options;
  const settings = { signal, settings: SETTINGS };
  const audit = async (snapshot: Snapshot): Promise<AuditResult> => {
    const { sql } = snapshot;
    const { lots, links } = oneRow(
      await sql<{ lots: number; links: number }[]>`
        select (select count(*) from lots)::int as lots,
          (select count(*) from lot_genealogy)::int as links`,
    );
    const [before] = await sql<(Before & { readonly id: string })[]>`
      select id, run, summary -> 'findings' as counts
      from lotline.audits where run is not null
      order by finished_at desc, id limit 1`;
    const findings: KindCount[] = [];
    for (const kind of KIND_NAMES) {
      progress({ checked: findings.length, of: KIND_NAMES.length, lots, links });
      const { found: check }: KindOfFinding = KINDS[kind];
      const found = check === undefined
        ? await searchCycles(snapshot, { onSteps: onCycleSteps, isReadOnly: replica !== undefined })
        : { kind, found: check(sql, limits), complete: true };
      findings.push(
        replica === undefined
          ? await saveFindings(snapshot, attemptId, found, before)
          : await readFindings(snapshot, found, before, replica.sink),
      );
    }
    progress({ checked: findings.length, of: KIND_NAMES.length, lots, links });
    const { tolerancePercent, temperatures } = limits;
    return {
      attemptId,
      summary: { lots, links, tolerance_percent: tolerancePercent, temperatures, findings },
      asOf: snapshot.asOf,
      comparedWith: before?.id ?? null,
    };
  };
  return replica === undefined
    ? inSnapshot(session, settings, audit)
    : inReplicaSnapshot(session, replica.mark, { ...settings, waitMs: replica.waitMs }, audit);
}
