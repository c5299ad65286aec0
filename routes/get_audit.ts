import { z } from "@hono/zod-openapi";
import { findAudit, type FindingPosition, listFindings } from "../db/audits.ts";
import { ApiError } from "../errors.ts";
import { respond } from "../http/response.ts";
import { readParameters, readQuery } from "../http/input.ts";
import { type App, operation } from "../http/operation.ts";
import { Audit, Finding, FindingCursor, Kind, Severity, Standing } from "./audit_shapes.ts";
import type { RouteDeps } from "./deps.ts";
import { errors, readRoute, success } from "./responses.ts";
import { pageLimit, Uuid } from "./schemas.ts";

export const AuditWithFindings = z.strictObject({
  ...Audit.shape,
  findings: z.array(Finding),
  next_cursor: FindingCursor.nullable(),
}).openapi("AuditWithFindings");

const Parameters = z.object({ id: Uuid });

const Query = z.object({
  kind: Kind.optional(),
  severity: Severity.optional(),
  standing: Standing.optional(),
  limit: pageLimit(1_000, 100),
  cursor: FindingCursor.optional(),
});

const definition = readRoute("getAudit", "/api/audits/{id}", success(AuditWithFindings), {
  request: { params: Parameters, query: Query },
  responses: errors(400, 401, 403, 404, 422),
});

export const getAudit = (app: App, { sql }: RouteDeps) =>
  operation(app, definition, async (c) => {
    const { id } = readParameters(c, Parameters);
    const { cursor, ...filters } = readQuery(c, Query);
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
