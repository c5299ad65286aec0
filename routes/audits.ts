import { z } from "@hono/zod-openapi";
import { KIND_NAMES } from "../audit/kinds.ts";
import {
  type Audit as StoredAudit,
  findAudit,
  type FindingPosition,
  findSavedAudit,
  insertAudit,
  listAudits as findAudits,
  listFindings,
} from "../db/audits.ts";
import { ApiError } from "../errors.ts";
import { readJson, readParameters, readQuery } from "../http/input.ts";
import { type App, operation } from "../http/operation.ts";
import { respond } from "../http/response.ts";
import type { RouteDeps } from "./deps.ts";
import { idempotent } from "./idempotency_key.ts";
import { accepted, errors, readRoute, repeatable, success, writeRoute } from "./responses.ts";
import { MomentOut, must, pageLimit, Uuid } from "./schemas.ts";

const Kind = z.enum(KIND_NAMES).openapi("AuditKind");

const Severity = z.enum(["critical", "major", "minor"]).openapi("AuditSeverity");

const Standing = z.enum(["new", "still_there", "gone", "unknown"]).openapi("AuditStanding");

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
const FindingCursor = z.string()
  .regex(POSITION, { error: must("the next_cursor of an answer") });

export const NewAudit = z.strictObject({}).openapi("NewAudit");

const create = writeRoute("createAudit", "/api/audits", NewAudit, {
  202: repeatable(accepted(Audit, "/api/audits")),
}, false);

/** Starts an audit; while one waits or runs, that one is returned. */
export const createAudit = (app: App, { sql, mode, limits }: RouteDeps) =>
  operation(app, create, async (c) => {
    await readJson(c, NewAudit, limits);
    const respondWith = (audit: StoredAudit) => {
      c.env.responseHeaders.location = `/api/audits/${audit.id}`;
      return respond(c, 202, audit);
    };
    const caller = c.env.caller?.sub ?? null;
    return await idempotent(c, { sql, mode }, "createAudit", {
      execute: async (key) => respondWith(await insertAudit(sql, caller, c.env.account, key)),
      replay: async (key) => respondWith(await findSavedAudit(sql, key)),
    });
  });

export const AuditPage = z.strictObject({
  audits: z.array(Audit),
  next_cursor: Uuid.nullable(),
}).openapi("AuditPage");

const AuditsQuery = z.object({
  limit: pageLimit(100, 20),
  cursor: Uuid.optional(),
});

const list = readRoute("listAudits", "/api/audits", success(AuditPage), {
  request: { query: AuditsQuery },
  responses: errors(401, 403, 422),
});

/** The newest audits first. */
export const listAudits = (app: App, { sql }: RouteDeps) =>
  operation(app, list, async (c) => {
    const { limit, cursor } = readQuery(c, AuditsQuery);
    const { items, isLast } = await findAudits(sql, { limit, after: cursor });
    return respond(c, 200, {
      audits: items,
      next_cursor: isLast ? null : items.at(-1)?.id ?? null,
    });
  });

export const AuditWithFindings = z.strictObject({
  ...Audit.shape,
  findings: z.array(Finding),
  next_cursor: FindingCursor.nullable(),
}).openapi("AuditWithFindings");

const Parameters = z.object({ id: Uuid });

const FindingsQuery = z.object({
  kind: Kind.optional(),
  severity: Severity.optional(),
  standing: Standing.optional(),
  limit: pageLimit(1_000, 100),
  cursor: FindingCursor.optional(),
});

const get = readRoute("getAudit", "/api/audits/{id}", success(AuditWithFindings), {
  request: { params: Parameters, query: FindingsQuery },
  responses: errors(400, 401, 403, 404, 422),
});

export const getAudit = (app: App, { sql }: RouteDeps) =>
  operation(app, get, async (c) => {
    const { id } = readParameters(c, Parameters);
    const { cursor, ...filters } = readQuery(c, FindingsQuery);
    const audit = await findAudit(sql, id);
    if (audit === undefined) throw noSuchAudit();
    const { items, isLast } = await listFindings(sql, id, {
      ...filters,
      after: positionAt(cursor),
    });
    // The audit and its findings may have been deleted in between.
    if (items.length === 0 && await findAudit(sql, id) === undefined) throw noSuchAudit();
    const last = items.at(-1);
    return respond(c, 200, {
      ...audit,
      findings: items.map(({ finding }) => finding),
      next_cursor: isLast || last === undefined ? null : `${last.finding.kind}.${last.subject}`,
    });
  });

function noSuchAudit(): ApiError {
  return new ApiError("audit_not_found", "There is no such audit");
}

function positionAt(cursor: string | undefined): FindingPosition | undefined {
  const [kind = "", subject = ""] = cursor?.split(".") ?? [];
  return cursor === undefined ? undefined : { kind, subject };
}
