/**
 * Fills an empty database with a plant and a week of its production, as data to explore. What is odd
 * on purpose is in seed.json, for tests.
 *
 * @module
 */

import type postgres from "postgres";
import base from "./demo_base.json" with { type: "json" };
import { LOT_TYPES, type LotType, type PlantBasis, type PlantRecords } from "./plant_records.ts";
import { producePlantWeek } from "./plant_week.ts";

/**
 * Fills the database, in one transaction, when its table `lots` is empty; otherwise does nothing.
 *
 * @param now when the week of production ends; the same moment makes the same rows
 */
export async function fillDemoPlant(
  sql: postgres.Sql,
  now: Date,
  progress: (line: string) => void = () => {},
): Promise<void> {
  await sql.begin(async (tx) => {
    // Two concurrent calls would both find the table empty.
    await tx`select pg_advisory_xact_lock(hashtext('lotline demo plant'))`;
    const [lot] = await tx`select from lots limit 1`;
    if (lot !== undefined) return;
    progress("Filling the demo plant with a week of production");
    await insertBase(tx);
    const week = producePlantWeek(await findBasis(tx), now);
    await insertWeek(tx, week, now);
    await tx`analyze lots, lot_genealogy, qc_decisions`;
    progress(`The demo plant holds ${week.lots.length} lots of the last seven days`);
  });
}

async function insertBase(tx: postgres.TransactionSql): Promise<void> {
  // The file lists the tables in an order that satisfies their foreign keys.
  for (const [table, rows] of Object.entries(base)) {
    const columns = Object.keys(rows[0] ?? {});
    await tx`
      insert into ${tx(table)} (${tx(columns)})
      select ${tx(columns)} from jsonb_populate_recordset(null::${tx(table)}, ${tx.json(rows)})
      on conflict do nothing`;
  }
}

async function findBasis(tx: postgres.TransactionSql): Promise<PlantBasis> {
  const [scenario] = await tx<{ id: string }[]>`
    select id from scenarios where is_active order by created_at limit 1`;
  if (scenario === undefined) throw new Error("The base rows hold no active scenario");
  const phases = await tx<{ id: string; gate_id: string }[]>`
    select phases.id, qc_gates.id as gate_id
    from phases join qc_gates on qc_gates.id = phases.qc_gate_id
    where phases.scenario_id = ${scenario.id} order by phase_number`;
  const people = await tx<{ id: string; role: string; initials: string }[]>`
    select id, role, regexp_replace(full_name, '(\\S)\\S*\\s*', '\\1', 'g') as initials
    from users order by id`;
  const withRole = (...roles: string[]) => {
    const [first, ...others] = people.filter(({ role }) => roles.includes(role));
    if (first === undefined) throw new Error(`The base rows hold no ${roles.join(" or ")}`);
    return [first, ...others] as const;
  };
  return {
    scenarioId: scenario.id,
    phaseIds: byType(phases.map(({ id }) => id)),
    gateIds: byType(phases.map(({ gate_id }) => gate_id)),
    operators: withRole("OPERATOR"),
    inspectors: withRole("OPERATOR", "AUDITOR", "MANAGER"),
  };
}

/** The plant's phases have the order of the lot types that they make. */
function byType(ids: readonly string[]): Record<LotType, string> {
  const [RAW, DEB, BULK, MIX, SKW, FRZ, FG] = ids;
  if (!RAW || !DEB || !BULK || !MIX || !SKW || !FRZ || !FG) {
    throw new Error(`The base rows hold ${ids.length} phases, not one for each lot type`);
  }
  return { RAW, DEB, BULK, MIX, SKW, FRZ, FG };
}

async function insertWeek(
  tx: postgres.TransactionSql,
  { basis, runs, lots, links, decisions }: PlantRecords,
  now: Date,
): Promise<void> {
  const iso = (at: number) => new Date(at).toISOString();
  const kilograms = (hundredths: number) => (hundredths / 100).toFixed(2);
  await tx`
    insert into production_runs (id, run_code, scenario_id, operator_id, status, daily_target_kg,
      started_at, ended_at, summary)
    select id, run_code, scenario_id, operator_id, status, daily_target_kg, started_at, ended_at,
      summary
    from jsonb_populate_recordset(null::production_runs, ${
    tx.json(runs.map((run) => {
      const ended = run.endsAt <= now.getTime();
      const made = lots.filter((lot) => lot.run === run);
      const packed = made.filter(({ type }) => type === LOT_TYPES.at(-1));
      const finished = packed.reduce((sum, { weight }) => sum + weight, 0);
      return {
        id: run.id,
        run_code: run.code,
        scenario_id: basis.scenarioId,
        operator_id: basis.operators[0].id,
        status: ended ? "COMPLETED" : "ACTIVE",
        daily_target_kg: String(run.targetKg),
        started_at: iso(run.startedAt),
        ended_at: ended ? iso(run.endsAt) : null,
        summary: ended ? { total_lots: made.length, finished_kg: kilograms(finished) } : null,
      };
    }))
  })`;
  await tx`
    insert into lots (id, lot_code, lot_type, production_run_id, phase_id, operator_id, weight_kg,
      temperature_c, metadata, created_at)
    select id, lot_code, lot_type, production_run_id, phase_id, operator_id, weight_kg,
      temperature_c, metadata, created_at
    from jsonb_populate_recordset(null::lots, ${
    tx.json(lots.map((lot) => ({
      id: lot.id,
      lot_code: lot.code,
      lot_type: lot.type,
      production_run_id: lot.run.id,
      phase_id: basis.phaseIds[lot.type],
      operator_id: lot.operatorId,
      weight_kg: kilograms(lot.weight),
      temperature_c: lot.celsius.toFixed(1),
      metadata: lot.metadata,
      created_at: iso(lot.at),
    })))
  })`;
  await tx`
    insert into lot_genealogy (id, parent_lot_id, child_lot_id, quantity_used_kg, linked_at)
    select id, parent_lot_id, child_lot_id, quantity_used_kg, linked_at
    from jsonb_populate_recordset(null::lot_genealogy, ${
    tx.json(links.map(({ id, parent, child, quantity }) => ({
      id,
      parent_lot_id: parent.id,
      child_lot_id: child.id,
      quantity_used_kg: kilograms(quantity),
      linked_at: iso(child.at),
    })))
  })`;
  await tx`
    insert into qc_decisions (id, lot_id, qc_gate_id, operator_id, decision, notes, temperature_c,
      digital_signature, decided_at)
    select id, lot_id, qc_gate_id, operator_id, decision, notes, temperature_c, digital_signature,
      decided_at
    from jsonb_populate_recordset(null::qc_decisions, ${
    tx.json(decisions.map(({ id, lot, by, decision, notes, at }) => ({
      id,
      lot_id: lot.id,
      qc_gate_id: basis.gateIds[lot.type],
      operator_id: by.id,
      decision,
      notes,
      temperature_c: lot.celsius.toFixed(1),
      digital_signature: by.initials,
      decided_at: iso(at),
    })))
  })`;
}
