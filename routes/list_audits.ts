import { z } from "@hono/zod-openapi";
import * as audits from "../db/audits.ts";
import { respond } from "../http/response.ts";
import { readQuery } from "../http/input.ts";
import { type App, operation } from "../http/operation.ts";
import { Audit } from "./audit_shapes.ts";
import type { RouteDeps } from "./deps.ts";
import { errors, readRoute, success } from "./responses.ts";
import { pageLimit, Uuid } from "./schemas.ts";

export const AuditPage = z.strictObject({
  audits: z.array(Audit),
  next_cursor: Uuid.nullable(),
}).openapi("AuditPage");

const Query = z.object({
  limit: pageLimit(100, 20),
  cursor: Uuid.optional(),
});

const definition = readRoute("listAudits", "/api/audits", success(AuditPage), {
  request: { query: Query },
  responses: errors(401, 403, 422),
});

/** The newest audits first. */
export const listAudits = (app: App, { sql }: RouteDeps) =>
  operation(app, definition, async (c) => {
    const { limit, cursor } = readQuery(c, Query);
    const { items, isLast } = await audits.listAudits(sql, { limit, after: cursor });
    return respond(c, 200, {
      audits: items,
      next_cursor: isLast ? null : items.at(-1)?.id ?? null,
    });
  });
