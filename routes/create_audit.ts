import { createRoute, z } from "@hono/zod-openapi";
import type { AuthMode } from "../auth/guard.ts";
import { type Audit as StoredAudit, findSavedAudit, insertAudit } from "../db/audits.ts";
import type { Sql } from "../db/sql.ts";
import { accountOf } from "../http/account.ts";
import { respond } from "../http/response.ts";
import type { BodyLimits } from "../http/body.ts";
import { readJson } from "../http/input.ts";
import { type App, operation } from "../http/operation.ts";
import { Audit } from "./audit_shapes.ts";
import { IdempotencyHeaders, idempotent } from "./idempotency_key.ts";
import { accepted, errors, repeatable } from "./responses.ts";

export const NewAudit = z.strictObject({}).openapi("NewAudit");

const definition = createRoute({
  operationId: "createAudit",
  method: "post",
  path: "/api/audits",
  request: {
    headers: IdempotencyHeaders,
    body: { required: false, content: { "application/json": { schema: NewAudit } } },
  },
  responses: {
    202: repeatable(accepted(Audit, "The audit that waits or runs.", "/api/audits")),
    ...errors(400, 401, 403, 405, 408, 409, 413, 415, 422, 500, 503),
  },
});

interface Deps {
  readonly sql: Sql;
  readonly mode: AuthMode;
  readonly limits: BodyLimits;
}

/** Asks for an audit; while one waits or runs, that one is answered. */
export const createAudit = (app: App, { sql, mode, limits }: Deps) =>
  operation(app, definition, async (c) => {
    await readJson(c, NewAudit, limits);
    const waiting = (audit: StoredAudit) => {
      c.env.responseHeaders.location = `/api/audits/${audit.id}`;
      return respond(c, 202, audit);
    };
    const caller = c.env.caller?.sub ?? null;
    return await idempotent(c, { sql, mode }, "createAudit", {
      execute: async (key) => waiting(await insertAudit(sql, caller, accountOf(c.env), key)),
      replay: async (key) => waiting(await findSavedAudit(sql, key)),
    });
  });
