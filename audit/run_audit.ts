import type { Session } from "../db/session.ts";
import type { OnSteps } from "../lineage/cycles.ts";
import { inSnapshot, type Snapshot, type SnapshotOptions } from "../lineage/snapshot.ts";
import type { Check } from "./check.ts";
import { searchCycles } from "./cycle_search.ts";
import { DECISION_CHECKS } from "./decision_checks.ts";
import { type Before, type KindCount, saveFindings } from "./findings.ts";
import { KIND_NAMES } from "./kinds.ts";
import type { AuditLimits, TemperatureRange } from "./limits.ts";
import { LINK_CHECKS } from "./link_checks.ts";
import { ORIGIN_CHECKS } from "./origin_checks.ts";
import { WEIGHT_CHECKS } from "./weight_checks.ts";

export interface AuditSummary {
  readonly lots: number;
  readonly links: number;
  readonly tolerance_percent: string;
  readonly temperatures: Record<string, TemperatureRange>;
  readonly findings: KindCount[];
}

export interface AuditResult {
  readonly summary: AuditSummary;
  /** The moment that it shows, as ISO text. */
  readonly asOf: string;
  /** The id of the audit that it was compared with. */
  readonly comparedWith: string | null;
}

export interface AuditOptions {
  /** The id under which findings are stored; they count once an audit has it. */
  readonly attemptId: string;
  readonly limits: AuditLimits;
  readonly signal: AbortSignal;
  /** Called with how many `of` all kinds are `checked`. */
  progress(soFar: Readonly<Record<"checked" | "of" | "lots" | "links", number>>): void;
  readonly onCycleSteps?: OnSteps | undefined;
}

// Bounds the memory of one sort or hash; a larger one uses PostgreSQL's disk.
const SETTINGS: SnapshotOptions["settings"] = { work_mem: "32MB" };

const CHECKS: readonly Check[] = [
  ...LINK_CHECKS,
  ...WEIGHT_CHECKS,
  ...ORIGIN_CHECKS,
  ...DECISION_CHECKS,
];

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
  const { attemptId, limits, signal, progress, onCycleSteps } = options;
  return inSnapshot(session, { signal, settings: SETTINGS }, async (snapshot) => {
    const { lots, links } = await countAll(snapshot);
    const before = await findLastAudit(snapshot);
    const findings: KindCount[] = [];
    for (const kind of KIND_NAMES) {
      progress({ checked: findings.length, of: KIND_NAMES.length, lots, links });
      const check = CHECKS.find((check) => check.kind === kind);
      const found = check === undefined
        ? await searchCycles(snapshot, { onSteps: onCycleSteps })
        : { kind, found: check.found(snapshot.sql, limits), complete: true };
      findings.push(await saveFindings(snapshot, attemptId, found, before));
    }
    progress({ checked: findings.length, of: KIND_NAMES.length, lots, links });
    const { tolerancePercent, temperatures } = limits;
    return {
      summary: { lots, links, tolerance_percent: tolerancePercent, temperatures, findings },
      asOf: snapshot.asOf,
      comparedWith: before?.id ?? null,
    };
  });
}

async function countAll({ sql }: Snapshot) {
  const [all] = await sql<{ lots: number; links: number }[]>`
    select (select count(*) from lots)::int as lots,
      (select count(*) from lot_genealogy)::int as links`;
  if (all === undefined) throw new Error("a count gave no row");
  return all;
}

async function findLastAudit({ sql }: Snapshot) {
  const [last] = await sql<(Before & { readonly id: string })[]>`
    select id, run, summary -> 'findings' as counts
    from lotline.audits where run is not null
    order by finished_at desc, id limit 1`;
  return last;
}
