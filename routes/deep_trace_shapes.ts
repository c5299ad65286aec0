import { z } from "@hono/zod-openapi";
import { DecimalOut, Lot, LotCode, LotType, MomentOut, must, Uuid } from "./schemas.ts";

/*
 * Shared by the two operations of deep traces. The database returns lots and links as lines of
 * JSON: these shapes describe the lines, and tests compare them.
 */

const MAX_DEPTH = 10_000;
const MAX_LOTS = 1_000_000;
export const DEFAULT_MAX_LOTS = 100_000;
export const MAX_PAGE_LENGTH = 10_000;
/** The default length of a page. */
export const PAGE = 1_000;

const Direction = z.enum(["upstream", "downstream", "both"]);

const wholeNumber = (max: number) => {
  const error = must(`a whole number from 1 to ${max}`);
  return z.int({ error }).min(1, { error }).max(max, { error });
};

export const NewDeepTrace = z.strictObject({
  lot_code: z.union([LotCode, z.number()], { error: must("a lot code: text or a number") })
    .transform(String),
  direction: Direction,
  max_depth: wholeNumber(MAX_DEPTH).nullable().optional(),
  at_most: wholeNumber(MAX_LOTS).optional(),
}).openapi("NewDeepTrace");

const count = z.int().min(0);

const DeepTraceLot = z.strictObject({ ...Lot.shape, depth: count }).openapi("DeepTraceLot");

const DeepTraceLink = z.strictObject({
  parent_lot_id: Uuid,
  child_lot_id: Uuid,
  quantity_used_kg: DecimalOut,
}).openapi("DeepTraceLink");

const DeepTraceTotal = z.strictObject({
  lot_type: LotType.nullable(),
  lots: count,
  weight_kg: DecimalOut,
}).openapi("DeepTraceTotal");

const State = z.enum(["queued", "running", "done", "failed", "cancelled"]);

export const DeepTrace = z.strictObject({
  id: Uuid,
  state: State,
  progress: z.strictObject({ lots: count, depth: count }),
  lot_code: z.string(),
  direction: Direction,
  max_depth: count.nullable(),
  at_most: count,
  created_at: MomentOut,
  as_of: MomentOut,
  out_of_date: z.boolean(),
  result: z.strictObject({
    lots: z.array(DeepTraceLot),
    links: z.array(DeepTraceLink),
    lot_count: count,
    link_count: count,
    depth_reached: count,
    truncated: z.boolean(),
    half_links: count.nullable(),
    totals: z.array(DeepTraceTotal),
    cycles: z.array(z.array(z.string())),
    cycles_truncated: z.boolean(),
    next_cursor: z.string().nullable(),
  }).nullable(),
}).openapi("DeepTrace");
