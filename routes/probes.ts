import { z } from "@hono/zod-openapi";
import { queryWithDeadline } from "../db/query_deadline.ts";
import { respond } from "../http/response.ts";
import { type App, operation } from "../http/operation.ts";
import type { RouteDeps } from "./deps.ts";
import { readRoute, success } from "./responses.ts";

export const Liveness = z.strictObject({ status: z.literal("live") }).openapi("Liveness");

export const Readiness = z.strictObject({
  status: z.literal("ready"),
  valkey: z.enum(["up", "away", "off"]),
  valkey_problem: z.string().optional(),
}).openapi("Readiness");

const liveness = readRoute("getLiveness", "/livez", success(Liveness));
const readiness = readRoute("getReadiness", "/readyz", success(Readiness));

// Load balancers probe every few seconds and treat a late response as none.
const DATABASE_TIMEOUT_MS = 1_000;

/** For supervisors that restart a hanging process: independent of the database. */
export const getLiveness = (app: App) =>
  operation(app, liveness, (c) => respond(c, 200, { status: "live" }));

/**
 * For load balancers: 503 while PostgreSQL doesn't respond. The response reports Valkey (`off` when
 * none is configured), but a process without Valkey is ready.
 */
export const getReadiness = (app: App, { sql, valkey }: RouteDeps) =>
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
