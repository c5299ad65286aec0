import { z } from "@hono/zod-openapi";
import { MAY_WRITE_FOR_OTHERS } from "../auth/access.ts";
import type { AuthMode } from "../auth/guard.ts";
import type { Claims } from "../auth/tokens.ts";
import { ISO_MOMENT_PATTERN } from "../contract/moments.ts";
import { findSavedLot, insertLot, type Lot as StoredLot } from "../db/lots.ts";
import { readMoment } from "../db/moments.ts";
import { findSavedQcDecision, insertQcDecision } from "../db/qc_decisions.ts";
import type { Sql } from "../db/sql.ts";
import { ApiError } from "../errors.ts";
import { readJson } from "../http/input.ts";
import { type App, operation, type RequestState } from "../http/operation.ts";
import { respond } from "../http/response.ts";
import type { RouteDeps } from "./deps.ts";
import { idempotent } from "./idempotency_key.ts";
import { repeatable, success, writeRoute } from "./responses.ts";
import {
  DecimalIn,
  DecimalOut,
  FreeText,
  JsonIn,
  Lot,
  LotCode,
  LotType,
  MomentIn,
  MomentOut,
  must,
  Uuid,
  UuidIn,
} from "./schemas.ts";

export const NewLot = z.strictObject({
  id: UuidIn.optional(),
  lot_code: z.union([LotCode, z.number(), z.boolean()], {
    error: must("a lot code: text or a number"),
  })
    .transform(String),
  lot_type: LotType.nullable().optional(),
  production_run_id: UuidIn.nullable().optional(),
  phase_id: UuidIn.nullable().optional(),
  operator_id: UuidIn.nullable().optional(),
  weight_kg: DecimalIn.optional(),
  temperature_c: DecimalIn.optional(),
  metadata: JsonIn.optional(),
  created_at: MomentIn.optional(),
}).openapi("NewLot");

const lotDefinition = writeRoute("createLot", "/api/lots", NewLot, {
  201: repeatable(success(Lot)),
});

/** Stores a lot. It creates no links: parents named in `metadata` are only stored there. */
export const createLot = (app: App, { sql, mode, limits }: RouteDeps) =>
  operation(app, lotDefinition, async (c) => {
    const sent = await readJson(c, NewLot, limits);
    const operator_id = operatorOfWrite(mode, c.env, sent.operator_id);
    const created_at = await momentOfWrite(sql, "created_at", sent.created_at);
    const lot = { ...sent, operator_id, created_at };
    const { write, forgetTrace } = c.env.effects;
    const stored = async (row: StoredLot) => {
      // An earlier lot with this code may just have been deleted, and its trace still be cached.
      await forgetTrace(row.lot_code);
      return respond(c, 201, row);
    };
    return await idempotent(c, { sql, mode }, "createLot", {
      execute: async (key) => stored(await insertLot(write, lot, key)),
      replay: async (key) => stored(await findSavedLot(sql, key)),
    });
  });

const Decision = z.enum(["PASS", "HOLD", "FAIL"]);

export const NewQcDecision = z.strictObject({
  id: UuidIn.optional(),
  lot_id: UuidIn.nullable().optional(),
  qc_gate_id: UuidIn.nullable().optional(),
  operator_id: UuidIn.nullable().optional(),
  decision: Decision.nullable().optional(),
  notes: FreeText.optional(),
  temperature_c: DecimalIn.optional(),
  digital_signature: FreeText.optional(),
  decided_at: MomentIn.optional(),
}).refine((fields) => Object.keys(fields).length > 0, { error: "must name at least one field" })
  .openapi("NewQcDecision", { minProperties: 1 });

export const QcDecision = z.strictObject({
  id: Uuid,
  lot_id: Uuid.nullable(),
  qc_gate_id: Uuid.nullable(),
  operator_id: Uuid.nullable(),
  decision: Decision.nullable(),
  notes: z.string().nullable(),
  temperature_c: DecimalOut,
  digital_signature: z.string().nullable(),
  decided_at: MomentOut,
}).openapi("QcDecision");

const decisionDefinition = writeRoute("createQcDecision", "/api/qc-decisions", NewQcDecision, {
  201: repeatable(success(QcDecision)),
});

/** Stores a decision about a lot at a QC gate. */
export const createQcDecision = (app: App, { sql, mode, limits }: RouteDeps) =>
  operation(app, decisionDefinition, async (c) => {
    const sent = await readJson(c, NewQcDecision, limits);
    const operator_id = operatorOfWrite(mode, c.env, sent.operator_id);
    const decided_at = await momentOfWrite(sql, "decided_at", sent.decided_at);
    const decision = { ...sent, operator_id, decided_at };
    const { write } = c.env.effects;
    return await idempotent(c, { sql, mode }, "createQcDecision", {
      execute: async (key) => respond(c, 201, await insertQcDecision(write, decision, key)),
      replay: async (key) => respond(c, 201, await findSavedQcDecision(sql, key)),
    });
  });

/**
 * The `operator_id` to store. `AUTH_MODE=legacy` stores what was sent, as the old server did, and
 * records when `required` would refuse it.
 *
 * @throws {ApiError} 403 in `AUTH_MODE=required` for another account's id, unless the role may
 * write it
 */
function operatorOfWrite(
  mode: AuthMode,
  state: RequestState,
  sent: string | null | undefined,
): string | null | undefined {
  const { caller } = state;
  const operator = caller && operatorOf(caller, sent);
  if (mode === "legacy") {
    if (caller !== undefined && operator === undefined) state.wouldRefuse ??= "operator";
    return sent;
  }
  if (operator === undefined) {
    throw new ApiError("operator", "operator_id must be your own account's id");
  }
  return operator;
}

/** The id to store; undefined when the caller may not write under the id that was sent. */
function operatorOf(caller: Claims, sent: string | null | undefined): string | undefined {
  // PostgreSQL compares UUIDs without regard to case.
  if (sent?.toLowerCase() === caller.sub.toLowerCase()) return caller.sub;
  if (sent === null || sent === undefined) return caller.sub;
  return caller.role !== null && MAY_WRITE_FOR_OTHERS.includes(caller.role) ? sent : undefined;
}

/**
 * The time to store with a write. PostgreSQL reads what the contract does not spell out, so that
 * nothing outside the years 0001 to 9999 is stored.
 *
 * @throws {ApiError} 422 no time in these years
 */
async function momentOfWrite<Moment extends string | null | undefined>(
  sql: Sql,
  field: string,
  sent: Moment,
): Promise<Moment | string> {
  if (typeof sent !== "string" || ISO_MOMENT_PATTERN.test(sent)) return sent;
  return await readMoment(sql, field, sent);
}
