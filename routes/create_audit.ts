import { createRoute, z } from "@hono/zod-openapi";
import { type Audit as StoredAudit, findSavedAudit, insertAudit } from "../db/audits.ts";
import { respond } from "../http/response.ts";
import { readJson } from "../http/input.ts";
import { type App, operation } from "../http/operation.ts";
import { Audit } from "./audit_shapes.ts";
import { idempotent, repeatableRequest, type WriteDeps } from "./idempotency_key.ts";
import { accepted, errors, repeatable } from "./responses.ts";

export const NewAudit = z.strictObject({}).openapi("NewAudit");

const definition = createRoute({
  operationId: "createAudit",
  method: "post",
  path: "/api/audits",
  request: repeatableRequest(NewAudit, false),
  responses: {
    202: repeatable(accepted(Audit, "The audit that waits or runs.", "/api/audits")),
    ...errors(400, 401, 403, 405, 408, 409, 413, 415, 422, 500, 503),
  },
});

/** Starts an audit; while one waits or runs, that one is returned. */
export const createAudit = (app: App, { sql, mode, limits }: WriteDeps) =>
  operation(app, definition, async (c) => {
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
