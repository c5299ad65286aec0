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
import { DecimalIn, JsonIn, Lot, LotCode, LotType, MomentIn, must, UuidIn } from "./schemas.ts";

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

const definition = writeRoute("createLot", "/api/lots", NewLot, {
  201: repeatable(success(Lot)),
});

/** Stores a lot. It creates no links: parents named in `metadata` are only stored there. */
export const createLot = (app: App, { sql, mode, limits, timeZone }: RouteDeps) =>
  operation(app, definition, async (c) => {
    const sent = await readJson(c, NewLot, limits);
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
