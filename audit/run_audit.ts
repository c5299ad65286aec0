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

/** What an audit says in short; answers show it as it is. */
export interface AuditSummary {
  readonly lots: number;
  readonly links: number;
  readonly tolerance_percent: string;
  readonly temperatures: Record<string, TemperatureRange>;
  readonly findings: KindCount[];
}

/** How far an audit is: kinds that were looked for, of so many. */
export type AuditProgress = Readonly<Record<"checked" | "of" | "lots" | "links", number>>;

/** An audit that is through; its findings are written. */
export interface AuditResult {
  readonly summary: AuditSummary;
  /** Everything that was stored before this moment was seen; UTC text. */
  readonly asOf: string;
  /** The id of the audit that it was compared with. */
  readonly comparedWith: string | null;
}

export interface AuditOptions {
  /** Names the findings; they count once an audit names it as its own. */
  readonly attemptId: string;
  readonly limits: AuditLimits;
  readonly signal: AbortSignal;
  progress(soFar: AuditProgress): void;
  /** Hears of the search for cycles, and may end it. */
  readonly onCycleSteps?: OnSteps | undefined;
}

// Bounds what one sort or hash takes of PostgreSQL's memory; what is larger goes to its disk.
const SETTINGS: SnapshotOptions["settings"] = { work_mem: "32MB" };

const CHECKS: readonly Check[] = [
  ...LINK_CHECKS,
  ...WEIGHT_CHECKS,
  ...ORIGIN_CHECKS,
  ...DECISION_CHECKS,
];

/**
 * Looks for everything that there are kinds of, in all lots, links and decisions as they are at one
 * moment, and writes what it finds, compared with the last audit that is done.
 *
 * PostgreSQL does the counting and comparing, with bounded memory and its disk; of this process's
 * memory the search for cycles takes its share (see {@link searchCycles}), and nothing else grows
 * with the plant.
 *
 * @throws the signal's reason when that is aborted; the session is lost then
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
