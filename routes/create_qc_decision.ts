import { z } from "@hono/zod-openapi";
import { findSavedQcDecision, insertQcDecision } from "../db/qc_decisions.ts";
import { respond } from "../http/response.ts";
import { readJson } from "../http/input.ts";
import { type App, operation } from "../http/operation.ts";
import type { RouteDeps } from "./deps.ts";
import { idempotent } from "./idempotency_key.ts";
import { momentOfWrite } from "./moment_of_write.ts";
import { operatorOfWrite } from "./operator_of_write.ts";
import { repeatable, success, writeRoute } from "./responses.ts";
import {
  Decimal,
  DecimalInput,
  TextInput,
  Timestamp,
  TimestampInput,
  Uuid,
  UuidInput,
} from "./schemas.ts";

const Decision = z.enum(["PASS", "HOLD", "FAIL"]);

export const QcDecisionInput = z.strictObject({
  id: UuidInput.optional(),
  lot_id: UuidInput.nullable().optional(),
  qc_gate_id: UuidInput.nullable().optional(),
  operator_id: UuidInput.nullable().optional(),
  decision: Decision.nullable().optional(),
  notes: TextInput.optional(),
  temperature_c: DecimalInput.optional(),
  digital_signature: TextInput.optional(),
  decided_at: TimestampInput.optional(),
}).refine((fields) => Object.keys(fields).length > 0, { error: "must name at least one field" })
  .openapi("QcDecisionInput", { minProperties: 1 });

export const QcDecision = z.strictObject({
  id: Uuid,
  lot_id: Uuid.nullable(),
  qc_gate_id: Uuid.nullable(),
  operator_id: Uuid.nullable(),
  decision: Decision.nullable(),
  notes: z.string().nullable(),
  temperature_c: Decimal.nullable(),
  digital_signature: z.string().nullable(),
  decided_at: Timestamp.nullable(),
}).openapi("QcDecision");

const definition = writeRoute("createQcDecision", "/api/qc-decisions", QcDecisionInput, {
  201: repeatable(success(QcDecision)),
});

/** Stores a decision about a lot at a QC gate. */
export const createQcDecision = (app: App, { sql, mode, limits, timeZone }: RouteDeps) =>
  operation(app, definition, async (c) => {
    const sent = await readJson(c, QcDecisionInput, limits);
    const operator_id = operatorOfWrite(mode, c.env, sent.operator_id);
    const decided_at = await momentOfWrite({ sql, timeZone }, "decided_at", sent.decided_at);
    const decision = { ...sent, operator_id, decided_at };
    const { write } = c.env.effects;
    return await idempotent(c, { sql, mode }, "createQcDecision", {
      execute: async (key) => respond(c, 201, await insertQcDecision(write, decision, key)),
      replay: async (key) => respond(c, 201, await findSavedQcDecision(sql, key)),
    });
  });
