import type { Sql } from "../../db/sql.ts";
import { stepGap } from "../routes/moved_share.ts";
import type { Operation } from "../exchange/operations.ts";
import type { Mode } from "../exchange/route.ts";
import { readThresholds } from "./thresholds_table.ts";
import { listSeenClients } from "../routes/route_clients.ts";

/**
 * Finds out which operations can't have this mode as a canary of the clients that were seen in their
 * present one; gives a sentence for each of them. To be asked before the mode is set.
 */
export async function canaryWarnings(
  sql: Sql,
  operations: readonly Operation[],
  mode: Mode,
): Promise<ReadonlyMap<Operation, string>> {
  if (mode.name !== "canary") return new Map();
  const { share_factor } = await readThresholds(sql);
  const warnings = new Map<Operation, string>();
  for (const { operation, below } of await listSeenClients(sql)) {
    const gap = stepGap(mode, below, share_factor);
    if (gap !== undefined && operations.includes(operation)) {
      warnings.set(operation, `${gap}; clients are told apart by the gateways' CANARY_BY`);
    }
  }
  return warnings;
}
