import { OpenAPIHono } from "@hono/zod-openapi";
import type { SigningKeys } from "./auth/keys.ts";
import { createTokenIssuer } from "./auth/tokens.ts";
import type { Valkey } from "./cache/valkey.ts";
import type { Sql } from "./db/connect.ts";
import { createEnvelope, type Limits } from "./http/envelope.ts";
import { type App, type RequestEnv, RequestFacts } from "./http/operation.ts";
import type { Log } from "./log.ts";
import { createLot } from "./routes/create_lot.ts";
import { createQcDecision } from "./routes/create_qc_decision.ts";
import { documents } from "./routes/documents.ts";
import { getHealth } from "./routes/get_health.ts";
import { getSigningKeys } from "./routes/get_signing_keys.ts";
import { getTraceability } from "./routes/get_traceability.ts";
import { login } from "./routes/login.ts";
import { getLiveness, getReadiness } from "./routes/probes.ts";

/** What the API is made of. */
export interface ApiDeps {
  readonly sql: Sql;
  readonly valkey?: Valkey;
  readonly keys: SigningKeys;
  readonly limits: Limits;
  readonly log: Log;
}

/** The API: all routes, and around them what every request goes through. */
export function createApi(deps: ApiDeps): (request: Request) => Promise<Response> {
  return createEnvelope({ app: createRoutes(deps), limits: deps.limits, log: deps.log });
}

/** All routes, in the contract's order. */
export function createRoutes(deps: Omit<ApiDeps, "log">): App {
  const app: App = new OpenAPIHono<RequestEnv>({
    // The envelope has found the path already, by the old server's rules.
    getPath: (_request, options) =>
      options?.env instanceof RequestFacts ? options.env.path.routingPath : "/",
  });
  // Whatever a route throws is answered by the envelope, the one place that knows how.
  app.onError((error) => {
    throw error;
  });
  app.openAPIRegistry.registerComponent("securitySchemes", "bearerAuth", {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
  });
  const issueToken = createTokenIssuer(deps.keys);
  getHealth(app);
  login(app, { ...deps, issueToken });
  getTraceability(app, deps);
  createLot(app, deps);
  createQcDecision(app, deps);
  getSigningKeys(app, deps);
  getLiveness(app);
  getReadiness(app, deps);
  documents(app);
  return app;
}
