import { createHash, timingSafeEqual } from "node:crypto";
import { type Context, Hono } from "hono";
import { z } from "zod";
import { isMissingObject, isMissingTable } from "../../db/pg_errors.ts";
import type { Sql } from "../../db/sql.ts";
import { ApiError, toApiError } from "../../errors.ts";
import { describeError, type Log } from "../../log.ts";
import { readBytes } from "../../read_bytes.ts";
import { withDeadline } from "../../timing.ts";
import { canaryWarnings } from "../rollout/verdicts.ts";
import type { Modes } from "../routes/watch_routes.ts";
import { type Operation, operationById } from "../exchange/operations.ts";
import { routeJson, stateJson } from "./route_json.ts";
import { modeOf, NoteForm, RouteRefusedError } from "../routes/routing.ts";
import { listChanges, MAX_CHANGES } from "../routes/route_changes.ts";
import { clearLatch, release, returnToLegacy, setMode } from "../routes/routes_table.ts";

/** How long a kill waits for PostgreSQL, in ms, before it holds only in this process. */
const KILL_WAIT_MS = 2_000;

const ModeBody = z.strictObject({
  mode: z.string(),
  canary_percent: z.int().optional(),
  sample_percent: z.int().min(0).max(100).optional(),
  /** Refuses the change if the route has another epoch by now. */
  expected_epoch: z.int().min(0).optional(),
  ...NoteForm.shape,
});
const NoteBody = z.strictObject(NoteForm.shape);
const ChangesQuery = z.strictObject({
  operation: z.string().optional(),
  before: z.string().regex(/^\d{1,18}$/).optional(),
  limit: z.string().regex(/^\d{1,4}$/).transform(Number).pipe(z.int().min(1).max(MAX_CHANGES))
    .default(100),
});

const MAX_BODY_BYTES = 16_384;
const BODY_DEADLINE_MS = 5_000;

const OPEN = new Set(["/livez", "/readyz"]);

/**
 * The gateway's admin API, for people and programs that move routes. It needs a port of its own that
 * clients don't reach. Its errors are `{"error": "one sentence"}`.
 */
export function createAdmin({ token, sql, modes, isSchemaBehind, metrics, log }: {
  /** The bearer token of all but the two probes. */
  readonly token: string;
  readonly sql: Sql;
  readonly modes: Modes;
  /** Whether the database is known to lack migrations. */
  readonly isSchemaBehind: () => boolean;
  /** The counts of this process, in Prometheus' text format. */
  readonly metrics: { text(): Promise<string>; readonly type: string };
  readonly log: Log;
}): (request: Request) => Promise<Response> {
  const app = new Hono();
  const isCaller = tokenCheck(token);
  app.use(async (c, next) => {
    if (!OPEN.has(c.req.path) && !isCaller(c.req.header("authorization"))) {
      throw new ApiError("no_token", "The gateway's token is needed", {
        headers: { "www-authenticate": 'Bearer realm="lotline-gateway"' },
      });
    }
    await next();
  });

  app.get("/livez", (c) => c.json({ status: "ok" }));
  // Ready once it has tried to read the routes: without them all requests go to the old server. A
  // balancer that removed the gateways for that would turn a pause of PostgreSQL into an outage.
  app.get("/readyz", (c) => {
    const { source } = modes.state;
    if (source === "starting") throw new ApiError("database_away", "The routes are being read");
    return c.json({ status: "ok", routes: source });
  });
  app.get("/status", (c) => c.json(stateJson(modes)));
  app.get(
    "/metrics",
    async (c) => c.body(await metrics.text(), 200, { "content-type": metrics.type }),
  );

  app.put("/routes/:operation", async (c) => {
    const operation = operationOf(c.req.param("operation"));
    const body = parse(ModeBody, await readJson(c.req.raw));
    const mode = modeOf(body.mode, body.canary_percent);
    if (mode === undefined) {
      const why =
        "mode is one of legacy shadow canary service, with canary_percent from 1 to 99 for canary alone";
      throw new ApiError("outside_contract", why);
    }
    const warnings = await canaryWarnings(sql, [operation], mode);
    const { route, changed } = await setMode(sql, {
      operation,
      mode,
      samplePercent: body.sample_percent,
      expectedEpoch: body.expected_epoch,
      who: body.who,
      why: body.why,
    });
    modes.lookNow();
    const warning = changed ? warnings.get(operation) : undefined;
    return c.json({ changed, route: routeJson(route), ...warning && { warning } });
  });
  app.post("/routes/:operation/rollback", async (c) => {
    const operation = operationOf(c.req.param("operation"));
    const moved = await returnToLegacy(sql, [operation], await noteIn(c));
    modes.lookNow();
    return c.json({ changed: moved.length > 0 });
  });
  app.post("/routes/:operation/clear", async (c) => {
    const operation = operationOf(c.req.param("operation"));
    const changed = await clearLatch(sql, { operation, ...await noteIn(c) });
    modes.lookNow();
    return c.json({ changed });
  });
  app.post("/kill", async (c) => {
    const stored = modes.kill(await noteIn(c)).then(() => true);
    if (await withDeadline(stored, KILL_WAIT_MS, () => false)) {
      return c.json({ killed: "everywhere" });
    }
    const says =
      "PostgreSQL is unavailable: the kill holds in this process now, and in the others as soon " +
      "as it is back. Until then their routes are on legacy because of that";
    return c.json({ killed: "here", says }, 202);
  });
  app.post("/release", async (c) => {
    const changed = await release(sql, await noteIn(c));
    modes.clearKill();
    modes.lookNow();
    return c.json({ changed });
  });
  app.get("/changes", async (c) => {
    const { operation, before, limit } = parse(ChangesQuery, c.req.query());
    const changes = await listChanges(sql, {
      operation: operation === undefined ? undefined : operationOf(operation),
      before,
      limit,
    });
    return c.json({ changes });
  });

  const paths = Map.groupBy(app.routes.filter(({ method }) => method !== "ALL"), (one) => one.path);
  for (const [path, routes] of paths) {
    const allow = routes.map(({ method }) => method).join(", ");
    app.all(path, () => {
      throw new ApiError("method_not_allowed", `Allowed here: ${allow}`, { headers: { allow } });
    });
  }
  app.notFound(() => {
    throw new ApiError("path_not_found", "There is nothing at this path");
  });
  app.onError((thrown) => {
    const error = errorOf(thrown, isSchemaBehind());
    if (error.status >= 500 && error.cause !== undefined) {
      log("error", "admin_request_failed", { error: describeError(error.cause) });
    }
    return Response.json(error.body, { status: error.status, headers: error.headers });
  });
  return async (request) => await app.fetch(request);
}

function errorOf(thrown: unknown, isBehind: boolean): ApiError {
  if (thrown instanceof RouteRefusedError) return new ApiError("route_refused", thrown.message);
  if (isMissingTable(thrown)) {
    const why = "The database lacks a table: run deno task migrate first";
    return new ApiError("database_away", why, { cause: thrown });
  }
  if (isBehind && isMissingObject(thrown)) {
    const why = "The database lacks a migration: run deno task migrate first";
    return new ApiError("database_away", why, { cause: thrown, problem: "schema_old" });
  }
  return toApiError(thrown);
}

/** Compares digests, which have one length, so that the time reveals nothing about the token. */
function tokenCheck(token: string): (header: string | undefined) => boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  const right = digest(token);
  return (header) => {
    const [, given] = /^bearer +(\S+) *$/i.exec(header ?? "") ?? [];
    return given !== undefined && timingSafeEqual(digest(given), right);
  };
}

function operationOf(name: string | undefined): Operation {
  const known = operationById(name);
  if (known !== undefined) return known;
  throw new ApiError("path_not_found", "The contract has no operation of this name");
}

async function noteIn(c: Context) {
  return parse(NoteBody, await readJson(c.req.raw));
}

function parse<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { issues } = result.error;
  const details = issues.map(({ path, message }) => ({ path: path.join("."), message }));
  const [first] = details;
  const sentence = [first?.path, first?.message].filter((part) => part).join(": ");
  throw new ApiError("outside_contract", sentence, { details });
}

// Invalid bytes would otherwise be recorded as U+FFFD, unnoticed.
const UTF_8 = new TextDecoder("utf-8", { fatal: true });

/**
 * The JSON body of a request to the admin API.
 * @throws {ApiError} 400 no JSON, 408 too slow, 413 too large
 */
export async function readJson(request: Request, deadlineMs = BODY_DEADLINE_MS): Promise<unknown> {
  const { bytes, size } = await readBytes(request, { max: MAX_BODY_BYTES, deadlineMs });
  if (size > MAX_BODY_BYTES) {
    throw new ApiError("body_too_large", `The body is larger than ${MAX_BODY_BYTES} bytes`);
  }
  try {
    return JSON.parse(UTF_8.decode(bytes));
  } catch {
    throw new ApiError("invalid_json", "The body is not valid JSON in UTF-8");
  }
}
