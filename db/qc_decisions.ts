import type { components } from "../contract/types.gen.ts";
import { ApiError } from "../errors.ts";
import type { Sql } from "./sql.ts";
import { findSavedRow, type IdempotencyKey } from "./idempotency_keys.ts";
import { type ColumnValues, conflictsOf, insertRow, unknownReference } from "./insert.ts";
import type { Write } from "./write.ts";

/** A row of `qc_decisions` as responses show it. */
export type QcDecision = components["schemas"]["QcDecision"];

/** The columns of `qc_decisions` with their types, in the order in which responses show them. */
export const QC_DECISION_COLUMNS = {
  id: "uuid",
  lot_id: "uuid",
  qc_gate_id: "uuid",
  operator_id: "uuid",
  decision: "text",
  notes: "text",
  temperature_c: "numeric",
  digital_signature: "text",
  decided_at: "timestamptz",
} as const;

/**
 * Stores a QC decision and returns its row.
 * @param key is stored with it
 * @throws {ApiError} 409 when its id is taken, or when it refers to a row that doesn't exist
 */
export async function insertQcDecision(
  write: Write,
  values: ColumnValues<keyof QcDecision>,
  key?: IdempotencyKey,
): Promise<QcDecision> {
  const columns = QC_DECISION_COLUMNS;
  return await insertRow<QcDecision, keyof QcDecision>(write, "qc_decisions", columns, values, key)
    .catch(conflictsOf({
      qc_decisions_pkey: () => new ApiError("taken", `QC decision id ${values.id} is taken`),
      qc_decisions_lot_id_fkey: () => unknownReference("lot_id", "lot"),
      qc_decisions_qc_gate_id_fkey: () => unknownReference("qc_gate_id", "QC gate"),
      qc_decisions_operator_id_fkey: () => unknownReference("operator_id", "user"),
    }));
}

/** The decision as it was stored with this key. */
export function findSavedQcDecision(sql: Sql, key: IdempotencyKey): Promise<QcDecision> {
  return findSavedRow<QcDecision>(sql, "qc_decisions", Object.keys(QC_DECISION_COLUMNS), key);
}
