import { z } from "@hono/zod-openapi";
import { Decimal, JobState, Lot, LotCodeInput, LotType, must, Timestamp, Uuid } from "./schemas.ts";

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

export const DeepTraceInput = z.strictObject({
  lot_code: LotCodeInput,
  direction: Direction,
  max_depth: wholeNumber(MAX_DEPTH).nullable().optional(),
  at_most: wholeNumber(MAX_LOTS).optional(),
}).openapi("DeepTraceInput");

const count = z.int().min(0);

const DeepTraceLot = z.strictObject({ ...Lot.shape, depth: count }).openapi("DeepTraceLot");

const DeepTraceLink = z.strictObject({
  parent_lot_id: Uuid,
  child_lot_id: Uuid,
  quantity_used_kg: Decimal.nullable(),
}).openapi("DeepTraceLink");

const DeepTraceTotal = z.strictObject({
  lot_type: LotType.nullable(),
  lots: count,
  weight_kg: Decimal.nullable(),
}).openapi("DeepTraceTotal");

const DeepTraceProgress = z.strictObject({ lots: count, depth: count })
  .openapi("DeepTraceProgress");

const DeepTraceResult = z.strictObject({
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
}).openapi("DeepTraceResult");

export const DeepTrace = z.strictObject({
  id: Uuid,
  state: JobState,
  progress: DeepTraceProgress,
  lot_code: z.string(),
  direction: Direction,
  max_depth: count.nullable(),
  at_most: count,
  created_at: Timestamp,
  as_of: Timestamp.nullable(),
  out_of_date: z.boolean(),
  result: DeepTraceResult.nullable(),
}).openapi("DeepTrace");
