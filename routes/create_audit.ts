import { z } from "@hono/zod-openapi";
import { type Audit as StoredAudit, findSavedAudit, insertAudit } from "../db/audits.ts";
import { respond } from "../http/response.ts";
import { readJson } from "../http/input.ts";
import { type App, operation } from "../http/operation.ts";
import { Audit } from "./audit_shapes.ts";
import type { RouteDeps } from "./deps.ts";
import { idempotent } from "./idempotency_key.ts";
import { accepted, repeatable, writeRoute } from "./responses.ts";

export const AuditInput = z.strictObject({}).openapi("AuditInput");

const definition = writeRoute("createAudit", "/api/audits", AuditInput, {
  202: repeatable(accepted(Audit, "/api/audits")),
}, false);

/** Starts an audit; while one waits or runs, that one is returned. */
export const createAudit = (app: App, { sql, mode, limits }: RouteDeps) =>
  operation(app, definition, async (c) => {
    await readJson(c, AuditInput, limits);
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
