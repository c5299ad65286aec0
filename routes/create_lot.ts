import { z } from "@hono/zod-openapi";
import { findSavedLot, insertLot, type Lot as StoredLot } from "../db/lots.ts";
import { respond } from "../http/response.ts";
import { readJson } from "../http/input.ts";
import { type App, operation } from "../http/operation.ts";
import type { RouteDeps } from "./deps.ts";
import { idempotent } from "./idempotency_key.ts";
import { momentOfWrite } from "./moment_of_write.ts";
import { operatorOfWrite } from "./operator_of_write.ts";
import { repeatable, success, writeRoute } from "./responses.ts";
import {
  DecimalInput,
  JsonValueInput,
  Lot,
  LotCodeInput,
  LotType,
  TimestampInput,
  UuidInput,
} from "./schemas.ts";

export const LotInput = z.strictObject({
  id: UuidInput.optional(),
  lot_code: LotCodeInput,
  lot_type: LotType.nullable().optional(),
  production_run_id: UuidInput.nullable().optional(),
  phase_id: UuidInput.nullable().optional(),
  operator_id: UuidInput.nullable().optional(),
  weight_kg: DecimalInput.optional(),
  temperature_c: DecimalInput.optional(),
  metadata: JsonValueInput.optional(),
  created_at: TimestampInput.optional(),
}).openapi("LotInput");

const definition = writeRoute("createLot", "/api/lots", LotInput, {
  201: repeatable(success(Lot)),
});

/** Stores a lot. It creates no links: parents named in `metadata` are only stored there. */
export const createLot = (app: App, { sql, mode, limits, timeZone }: RouteDeps) =>
  operation(app, definition, async (c) => {
    const sent = await readJson(c, LotInput, limits);
    const operator_id = operatorOfWrite(mode, c.env, sent.operator_id);
    const created_at = await momentOfWrite({ sql, timeZone }, "created_at", sent.created_at);
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
