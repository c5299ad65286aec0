import { createRoute, z } from "@hono/zod-openapi";
import { queryWithDeadline } from "../db/query_deadline.ts";
import { respond } from "../http/response.ts";
import { type App, operation } from "../http/operation.ts";
import type { RouteDeps } from "./deps.ts";
import { errors, notModified, success } from "./responses.ts";

export const Liveness = z.strictObject({ status: z.literal("live") }).openapi("Liveness");

export const Readiness = z.strictObject({
  status: z.literal("ready"),
  valkey: z.enum(["up", "away", "off"]),
  valkey_problem: z.string().optional(),
}).openapi("Readiness");

const probe = (operationId: string, path: string, schema: z.ZodType, description: string) =>
  createRoute({
    operationId,
    method: "get",
    path,
    responses: {
      200: success(schema, description),
      304: notModified,
      ...errors(405, 500, 503),
    },
  });

const liveness = probe("getLiveness", "/livez", Liveness, "The process answers.");
const readiness = probe("getReadiness", "/readyz", Readiness, "The process can do its work.");

// Load balancers probe every few seconds and treat a late response as none.
const DATABASE_TIMEOUT_MS = 1_000;

/** For supervisors that restart a hanging process: independent of the database. */
export const getLiveness = (app: App) =>
  operation(app, liveness, (c) => respond(c, 200, { status: "live" }));

/**
 * For load balancers: 503 while PostgreSQL doesn't respond. The response reports Valkey (`off` when
 * none is configured), but a process without Valkey is ready.
 */
export const getReadiness = (app: App, { sql, valkey }: Pick<RouteDeps, "sql" | "valkey">) =>
  operation(app, readiness, async (c) => {
    const [problem] = await Promise.all([
      valkey?.problem(),
      queryWithDeadline(sql, sql`select 1`, DATABASE_TIMEOUT_MS),
    ]);
    const state = valkey === undefined ? "off" : problem === undefined ? "up" : "away";
    return respond(c, 200, {
      status: "ready",
      valkey: state,
      ...(problem !== undefined && { valkey_problem: problem }),
    });
  });
