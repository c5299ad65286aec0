import type { Sql } from "../../db/sql.ts";
import {
  isSafeOperation,
  LEGACY_OPERATIONS,
  type LegacyOperation,
} from "../exchange/operations.ts";
import type { Mode } from "../exchange/route.ts";
import { setMode } from "../routes/routes_table.ts";
import { clearHistory } from "./route_history.ts";

/** The story's end; all of it lies before, and a month's end among it. */
export const STORY_END = "2025-12-20T00:00:00.000Z";
export const STORY_START = "2025-11-01T00:00:00.000Z";

const MODES: readonly (readonly [mode: Mode, at: string])[] = [
  [{ name: "shadow" }, "2025-11-05T08:00:00.000Z"],
  [{ name: "canary", percent: 10 }, "2025-11-10T08:00:00.000Z"],
  [{ name: "service" }, "2025-11-20T08:00:00.000Z"],
];

/** Sets a mode as if at that moment; returns the route's epoch. */
export async function modeAt(
  sql: Sql,
  operation: LegacyOperation,
  mode: Mode,
  at: string,
): Promise<number> {
  const { route } = await setMode(sql, { operation, mode, who: "anna", why: "as planned" });
  await lastChangeWas(sql, at);
  return route.epoch;
}

/** Says when the last change of a route was. */
export async function lastChangeWas(sql: Sql, at: string): Promise<void> {
  await sql`update lotline.route_changes set at = ${at}
    where at > now() - interval '1 minute'`;
}

/** Evidence of one minute. */
export interface MinuteOf {
  readonly operation: LegacyOperation;
  readonly epoch: number;
  readonly at: string;
  readonly legacy?: number;
  readonly service?: number;
  readonly outcomes?: Readonly<Record<string, number>>;
  readonly approval?: string;
}

/** Stores responses and comparisons of one minute, all comparisons of 2xx. */
export async function evidenceAt(sql: Sql, minute: MinuteOf): Promise<void> {
  const { operation, epoch, at, legacy = 300, service = 300 } = minute;
  const { outcomes = { same: 300 }, approval } = minute;
  for (const [side, requests] of Object.entries({ legacy, service })) {
    if (requests === 0) continue;
    await sql`
      insert into lotline.route_answers
      values (${operation}, ${side}, ${epoch}, ${at}, ${requests}, 0, 0,
        ${sql.json({ "47": requests })})`;
  }
  for (const [outcome, count] of Object.entries(outcomes)) {
    await sql`insert into lotline.route_outcomes
      values (${operation}, ${epoch}, ${at}, ${outcome}, '', ${count})`;
    if (outcome === "approved" && approval !== undefined) {
      await sql`insert into lotline.route_outcomes
        values (${operation}, ${epoch}, ${at}, ${outcome}, ${approval}, ${count})`;
    }
  }
  await sql`insert into lotline.route_coverage
    values (${operation}, ${epoch}, ${at}, 'success', ${outcomes.same ?? 0})`;
}

/** A gateway that ran from one moment to another. */
export async function gatewayRan(sql: Sql, from: string, to: string): Promise<void> {
  await sql`
    insert into lotline.gateway_runs (id, started_at, seen_at, version, commit)
    values (gen_random_uuid(), ${from}, ${to}, '0.1.0', 'abcdef0')`;
}

/** Moves one operation to `service`, with evidence of each step; returns the epochs by mode. */
export async function movedWell(
  sql: Sql,
  operation: LegacyOperation,
  modes: readonly (readonly [Mode, string])[] = MODES,
): Promise<Readonly<Record<string, number>>> {
  const epochs: Record<string, number> = {};
  for (const [mode, at] of modes) {
    const epoch = await modeAt(sql, operation, mode, at);
    epochs[mode.name] = epoch;
    const isAlone = mode.name === "service" && !isSafeOperation(operation);
    await evidenceAt(sql, {
      operation,
      epoch,
      at: new Date(Date.parse(at) + 3_600_000).toISOString(),
      ...isAlone && { legacy: 0, outcomes: {} },
    });
  }
  return epochs;
}

/** Deletes all that was, and begins with every operation but these moved well, while a gateway ran. */
export async function givenStory(
  sql: Sql,
  { except = [] }: { readonly except?: readonly LegacyOperation[] } = {},
): Promise<void> {
  await clearHistory(sql);
  await sql`truncate lotline.gateway_runs, lotline.unknown_requests`;
  await sql`delete from lotline.cutover_limits where who <> 'migrate'`;
  await sql`update lotline.kill_switch set killed = false`;
  await gatewayRan(sql, STORY_START, STORY_END);
  for (const operation of LEGACY_OPERATIONS) {
    if (!except.includes(operation)) await movedWell(sql, operation);
  }
}
