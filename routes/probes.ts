import { z } from "@hono/zod-openapi";
import { timestamp } from "../clock.ts";
import { queryWithDeadline } from "../db/query_deadline.ts";
import { finish, type FinishedResponse, respond, respondFinished } from "../http/response.ts";
import { type App, operation } from "../http/operation.ts";
import type { RouteDeps } from "./deps.ts";
import { readRoute, success } from "./responses.ts";

export const Health = z.strictObject({
  status: z.literal("ok"),
  timestamp: z.string().openapi({ format: "date-time" }),
}).openapi("Health");

export const Liveness = z.strictObject({ status: z.literal("live") }).openapi("Liveness");

export const Readiness = z.strictObject({
  status: z.literal("ready"),
  valkey: z.enum(["up", "away", "off"]),
  valkey_problem: z.string().optional(),
}).openapi("Readiness");

const health = readRoute("getHealth", "/api/health", success(Health));
const liveness = readRoute("getLiveness", "/livez", success(Liveness));
const readiness = readRoute("getReadiness", "/readyz", success(Readiness));

// Load balancers probe every few seconds and treat a late response as none.
const DATABASE_TIMEOUT_MS = 1_000;

/** Reports that the process responds; unlike `/readyz` it never queries the database. */
export const getHealth = (app: App) => {
  const finished = oncePerMoment();
  return operation(app, health, (c) => respondFinished(c, 200, finished()));
};

/** Requests of the same millisecond share one response: its ETag takes most of the time. */
function oncePerMoment(): () => FinishedResponse {
  let moment = "";
  let finished: FinishedResponse;
  return () => {
    const now = timestamp();
    if (now !== moment) {
      moment = now;
      finished = finish({ status: "ok", timestamp: now });
    }
    return finished;
  };
}

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
