import type { Sql } from "../../db/sql.ts";
import { stepGap } from "../routes/moved_share.ts";
import type { Operation } from "../exchange/operations.ts";
import type { Mode } from "../exchange/route.ts";
import { readThresholds } from "./thresholds.ts";
import { listSeenClients } from "../routes/route_clients.ts";

/**
 * A sentence for each operation whose clients, as seen in the present mode, make this mode no canary.
 * To be read before the mode is set.
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
      warnings.set(operation, `${gap}; the gateways tell clients apart by CANARY_BY`);
    }
  }
  return warnings;
}
