import { z } from "@hono/zod-openapi";
import { KIND_NAMES } from "../audit/kinds.ts";
import { JobState, must, Timestamp, Uuid } from "./schemas.ts";

/* Audits in responses, and the filters of queries. */

export const Kind = z.enum(KIND_NAMES).openapi("AuditFindingKind");

export const Severity = z.enum(["critical", "major", "minor"]).openapi("AuditFindingSeverity");

export const Standing = z.enum(["new", "still_there", "gone", "unknown"]).openapi(
  "AuditFindingStanding",
);

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
}).openapi("AuditFindingCount");

const TemperatureRange = z.strictObject({ least: z.string(), most: z.string() }).openapi(
  "TemperatureRange",
);

const Summary = z.strictObject({
  lots: z.int(),
  links: z.int(),
  tolerance_percent: z.string(),
  temperatures: z.record(z.string(), TemperatureRange),
  findings: z.array(Count),
}).openapi("AuditSummary");

export const Audit = z.strictObject({
  id: Uuid,
  state: JobState,
  progress: Progress.nullable(),
  created_at: Timestamp,
  as_of: Timestamp.nullable(),
  finished_at: Timestamp.nullable(),
  compared_with: Uuid.nullable(),
  summary: Summary.nullable(),
}).openapi("Audit");

const FindingNumber = z.union([z.string(), z.int(), z.null()])
  .openapi({ type: ["string", "number", "null"] });

export const Finding = z.strictObject({
  kind: Kind,
  severity: Severity,
  standing: Standing,
  lots: z.array(z.strictObject({ id: Uuid, lot_code: z.string() }).openapi("AuditedLot")),
  numbers: z.record(z.string(), FindingNumber),
}).openapi("AuditFinding");

const POSITION = /^[a-z_]{1,40}\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A position between findings: kind and subject. */
export const FindingCursor = z.string()
  .regex(POSITION, { error: must("the next_cursor of an answer") });
