import { createRoute, z } from "@hono/zod-openapi";
import * as audits from "../db/audits.ts";
import { respond } from "../http/response.ts";
import { readQuery } from "../http/input.ts";
import { type App, operation } from "../http/operation.ts";
import { Audit } from "./audit_shapes.ts";
import type { RouteDeps } from "./deps.ts";
import { errors, notModified, success } from "./responses.ts";
import { pageLimit, Uuid } from "./schemas.ts";

export const AuditPage = z.strictObject({
  audits: z.array(Audit),
  next_cursor: Uuid.nullable(),
}).openapi("AuditPage");

const Query = z.object({
  limit: pageLimit(100, 20),
  cursor: Uuid.optional(),
});

const definition = createRoute({
  operationId: "listAudits",
  method: "get",
  path: "/api/audits",
  request: { query: Query },
  responses: {
    200: success(AuditPage, "One page of audits."),
    304: notModified,
    ...errors(401, 403, 405, 422, 500, 503),
  },
});

/** The newest audits first. */
export const listAudits = (app: App, { sql }: Pick<RouteDeps, "sql">) =>
  operation(app, definition, async (c) => {
    const { limit, cursor } = readQuery(c, Query);
    const { items, isLast } = await audits.listAudits(sql, { limit, after: cursor });
    return respond(c, 200, {
      audits: items,
      next_cursor: isLast ? null : items.at(-1)?.id ?? null,
    });
  });
