import { createRoute } from "@hono/zod-openapi";
import { BadTokenError } from "../auth/guard.ts";
import { type App, operation } from "../http/operation.ts";
import type { RouteDeps } from "./deps.ts";
import { IdempotencyHeaders, idempotent } from "./idempotency_key.ts";
import { errors, repeatable } from "./responses.ts";

const definition = createRoute({
  operationId: "logout",
  method: "post",
  path: "/api/logout",
  request: { headers: IdempotencyHeaders },
  responses: {
    204: repeatable({}),
    ...errors(401, 405, 409, 422, 429, 500, 503),
  },
});

/**
 * Revokes the token of the request in every process. Without a valid token there is nothing to
 * revoke: AUTH_MODE=legacy responds 204 as well. A body is ignored.
 */
export const logout = (app: App, { sql, revocations, mode }: RouteDeps) =>
  operation(app, definition, async (c) => {
    const { caller, revoked, tokenFault } = c.env;
    // Another token of the account makes another request.
    return await idempotent(c, { sql, mode }, `logout ${(caller ?? revoked)?.jti}`, {
      async execute(key) {
        if (mode === "required" && tokenFault !== undefined) {
          throw new BadTokenError(tokenFault, revoked?.sub);
        }
        if (caller !== undefined) await revocations.revoke(caller, key);
        return c.body(null, 204);
      },
      async replay() {
        // The revocation may not have reached this process yet.
        if (caller !== undefined) await revocations.revoke(caller);
        return c.body(null, 204);
      },
    });
  });
