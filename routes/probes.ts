import { z } from "@hono/zod-openapi";
import { checkValkey } from "../cache/valkey_check.ts";
import { checkDatabase, type Finding } from "../db/readiness_checks.ts";
import { ApiError } from "../errors.ts";
import { respond } from "../http/response.ts";
import { type App, operation } from "../http/operation.ts";
import type { RouteDeps } from "./deps.ts";
import { readRoute, success } from "./responses.ts";

export const Liveness = z.strictObject({ status: z.literal("live") }).openapi("Liveness");

export const Readiness = z.strictObject({
  status: z.literal("ready"),
  valkey: z.enum(["up", "away", "off"]),
  valkey_problem: z.string().optional(),
  replica: z.enum(["up", "not_read"]).optional(),
  replica_problem: z.string().optional(),
}).openapi("Readiness");

const liveness = readRoute("getLiveness", "/livez", success(Liveness));
const readiness = readRoute("getReadiness", "/readyz", success(Readiness));

// Load balancers probe every few seconds and treat a late response as none.
const DATABASE_TIMEOUT_MS = 1_000;

/** For supervisors that restart a hanging process: independent of the database. */
export const getLiveness = (app: App) =>
  operation(app, liveness, (c) => respond(c, 200, { status: "live" }));

/**
 * For load balancers: 503 while PostgreSQL doesn't respond, is read-only or lacks migrations, with the
 * cause, and once the process is stopping. The response reports Valkey (`off` when none is configured)
 * and the replica (nothing when none is), but a process without them is ready.
 */
export const getReadiness = (app: App, { sql, database, replica, valkey, stopping }: RouteDeps) =>
  operation(app, readiness, async (c) => {
    if (stopping.aborted) throw new ApiError("stopping", "The process is stopping");
    const [{ reason }, findings] = await Promise.all([
      checkValkey(valkey),
      checkDatabase(sql, () => database.schema(DATABASE_TIMEOUT_MS), DATABASE_TIMEOUT_MS),
    ]);
    const [failure, ...others] = findings.filter(({ level }) => level === "failure");
    if (failure !== undefined) throw notReady([failure, ...others]);
    const state = valkey === undefined ? "off" : reason === undefined ? "up" : "away";
    return respond(c, 200, {
      status: "ready",
      valkey: state,
      ...(reason !== undefined && { valkey_problem: reason }),
      ...replicaFields(replica?.problem, replica !== undefined),
    });
  });

function replicaFields(problem: string | undefined, isSet: boolean) {
  if (!isSet) return {};
  return problem === undefined
    ? { replica: "up" as const }
    : { replica: "not_read" as const, replica_problem: problem };
}

function notReady(failures: readonly [Finding, ...Finding[]]): ApiError {
  const [{ message, problem, cause }] = failures;
  const details = failures.map(({ check, todo }) => ({ path: check, message: todo ?? "" }));
  return new ApiError("database_away", message, { details, problem, cause });
}
