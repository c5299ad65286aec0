import { type AuditResult, finishAudit } from "../db/audits.ts";
import type { Sql } from "../db/sql.ts";
import { openSession } from "../db/session.ts";
import type { AuditLimits } from "../audit/kinds.ts";
import { type AuditOptions, runAudit } from "../audit/run_audit.ts";
import { readSettings } from "../config.ts";
import { WorkerSettings } from "../jobs/config.ts";
import type { TestDatabase } from "./database.ts";

/** A lot of a small plant, by its code; the defaults cause no finding. */
interface LotSketch {
  readonly type?: string | null;
  readonly kg?: string | null;
  readonly c?: string | null;
  readonly at?: string | null;
}

/** A link between two codes. */
type LinkSketch = readonly [
  parent: string | null,
  child: string | null,
  kg?: string | null,
  at?: string | null,
];

/** A decision on a lot, by the gate with this number unless there is none. */
type DecisionSketch = readonly [
  lot: string,
  decision: string | null,
  at: string | null,
  gate?: number,
];

/** A small plant. */
export interface PlantSketch {
  readonly lots: Readonly<Record<string, LotSketch>>;
  readonly links?: readonly LinkSketch[];
  readonly decisions?: readonly DecisionSketch[];
}

const START = "2026-01-01";

let lots = 0;

/** Ids in ascending order, so that cycles start with the first lot. */
const nextId = () => `00000000-0000-4000-9000-${String(lots++).padStart(12, "0")}`;

/** Replaces all lots and audits by a plant. */
export async function buildPlant(sql: Sql, plant: PlantSketch): Promise<void> {
  await sql`truncate lots, lot_genealogy, qc_decisions, lotline.audits, lotline.audit_findings`;
  await addToPlant(sql, plant);
}

/** Adds to the existing plant. */
export async function addToPlant(sql: Sql, plant: PlantSketch): Promise<void> {
  await sql`insert into qc_gates (id, gate_number, name)
    select format('00000000-0000-4000-8000-00000000000%s', number)::uuid, number, '{}'
    from generate_series(1, 9) number on conflict do nothing`;
  const lots = Object.entries(plant.lots).map(([code, { type, kg, c, at }]) => ({
    id: nextId(),
    lot_code: code,
    lot_type: type === undefined ? "RAW" : type,
    weight_kg: kg === undefined ? "100" : kg,
    temperature_c: c ?? null,
    created_at: at === undefined ? START : at,
  }));
  await sql`insert into lots (id, lot_code, lot_type, weight_kg, temperature_c, created_at)
    select id, lot_code, lot_type, weight_kg, temperature_c, created_at
    from jsonb_populate_recordset(null::lots, ${sql.json(lots)})`;
  const links = (plant.links ?? []).map(([parent, child, kg, at]) => ({
    parent,
    child,
    kg: kg === undefined ? "100" : kg,
    at: at === undefined ? START : at,
  }));
  await sql`insert into lot_genealogy (parent_lot_id, child_lot_id, quantity_used_kg, linked_at)
    select (select id from lots where lot_code = parent), (select id from lots where lot_code = child),
      kg, at
    from jsonb_to_recordset(${sql.json(links)})
      as link (parent text, child text, kg numeric, at timestamptz)`;
  const decisions = (plant.decisions ?? []).map(([lot, decision, at, gate]) => ({
    lot,
    decision,
    at,
    gate: gate === undefined ? null : `00000000-0000-4000-8000-00000000000${gate}`,
  }));
  await sql`insert into qc_decisions (lot_id, decision, decided_at, qc_gate_id)
    select (select id from lots where lot_code = lot), decision, at, gate
    from jsonb_to_recordset(${sql.json(decisions)})
      as decided (lot text, decision text, at timestamptz, gate uuid)`;
}

const config = readSettings(WorkerSettings, { DATABASE_URL: "postgres://unused" });

/** The default thresholds. */
export const DEFAULT_LIMITS: AuditLimits = {
  temperatures: config.AUDIT_TEMPERATURES,
  tolerancePercent: config.AUDIT_TOLERANCE_PERCENT,
};

/** An audit that was done immediately. */
export interface DoneAudit {
  readonly id: string;
  readonly run: string;
  readonly summary: AuditResult["summary"];
}

/** Audits the plant as a worker does, and stores its findings as the result. */
export async function audit(
  { url, sql }: TestDatabase,
  options: Partial<AuditOptions> = {},
): Promise<DoneAudit> {
  const [id, run] = [crypto.randomUUID(), crypto.randomUUID()];
  await sql`insert into lotline.audits (id, job_id) values (${id}, ${crypto.randomUUID()})`;
  await using session = openSession(url, { name: "lotline-test" });
  const result = await runAudit(session, {
    attemptId: run,
    limits: DEFAULT_LIMITS,
    signal: new AbortController().signal,
    progress: () => {},
    ...options,
  });
  await finishAudit(sql, id, result);
  return { id, run, summary: result.summary };
}

/** An audit's stored findings, each a line: `standing kind CODE CODE`. */
export async function findingsOf(sql: Sql, run: string): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    select concat_ws(' ', standing, kind, nullif(array_to_string(lot_codes, ' '), '')) as line
    from lotline.audit_findings where run = ${run} order by kind, lot_codes, standing`;
  return rows.map(({ line }) => line);
}
