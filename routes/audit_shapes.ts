import { z } from "@hono/zod-openapi";
import { KIND_NAMES } from "../audit/kinds.ts";
import { MomentOut, must, Uuid } from "./schemas.ts";

/* Audits in responses, and the filters of queries. */

export const Kind = z.enum(KIND_NAMES).openapi("AuditKind");

export const Severity = z.enum(["critical", "major", "minor"]).openapi("AuditSeverity");

export const Standing = z.enum(["new", "still_there", "gone", "unknown"]).openapi("AuditStanding");

const Progress = z.strictObject({
  checked: z.int(),
  of: z.int(),
  lots: z.int(),
  links: z.int(),
}).openapi("AuditProgress");

const Count = z.strictObject({
  kind: Kind,
  severity: Severity,
  found: z.int(),
  new: z.int(),
  still_there: z.int(),
  unknown: z.int(),
  gone: z.int(),
  kept: z.int(),
  complete: z.boolean(),
}).openapi("AuditCount");

const Range = z.strictObject({ least: z.string(), most: z.string() }).openapi("AuditRange");

const Summary = z.strictObject({
  lots: z.int(),
  links: z.int(),
  tolerance_percent: z.string(),
  temperatures: z.record(z.string(), Range),
  findings: z.array(Count),
}).openapi("AuditSummary");

export const Audit = z.strictObject({
  id: Uuid,
  state: z.enum(["queued", "running", "done", "failed", "cancelled"]),
  progress: Progress.nullable(),
  created_at: MomentOut,
  as_of: MomentOut,
  finished_at: MomentOut,
  compared_with: Uuid.nullable(),
  summary: Summary.nullable(),
}).openapi("Audit");

export const Finding = z.strictObject({
  kind: Kind,
  severity: Severity,
  standing: Standing,
  lots: z.array(z.strictObject({ id: Uuid, lot_code: z.string() }).openapi("AuditedLot")),
  numbers: z.record(z.string(), z.union([z.string(), z.int(), z.null()])),
}).openapi("AuditFinding");

const POSITION = /^[a-z_]{1,40}\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A position between findings: kind and subject. */
export const FindingCursor = z.string()
  .regex(POSITION, { error: must("the next_cursor of an answer") });
