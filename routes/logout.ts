import { createRoute } from "@hono/zod-openapi";
import { BadTokenError } from "../auth/bad_token.ts";
import type { AuthMode } from "../auth/guard.ts";
import type { Revocations } from "../auth/revocations.ts";
import type { Sql } from "../db/sql.ts";
import { type App, operation } from "../http/operation.ts";
import { IdempotencyHeaders, idempotent } from "./idempotency_key.ts";
import { errors, repeatable } from "./responses.ts";

const definition = createRoute({
  operationId: "logout",
  method: "post",
  path: "/api/logout",
  request: { headers: IdempotencyHeaders },
  responses: {
    204: repeatable({ description: "The token is worth nothing any more." }),
    ...errors(401, 405, 409, 422, 429, 500, 503),
  },
});

interface Deps {
  readonly sql: Sql;
  readonly revocations: Revocations;
  readonly mode: AuthMode;
}

/**
 * Ends the token that it is sent with, on every process. Without a valid one there is nothing to
 * end: in AUTH_MODE=legacy that is 204 as well. A body isn't looked at.
 */
export const logout = (app: App, { sql, revocations, mode }: Deps) =>
  operation(app, definition, async (c) => {
    const { caller, revoked: ended, tokenFault } = c.env;
    // Another token of the account is another request: it would stay as it is.
    return await idempotent(c, { sql, mode }, `logout ${(caller ?? ended)?.jti}`, {
      async execute(key) {
        if (mode === "required" && tokenFault !== undefined) throw new BadTokenError(tokenFault);
        if (caller !== undefined) await revocations.revoke(caller, key);
        return c.body(null, 204);
      },
      async replay() {
        // This process may not have heard of it yet.
        if (caller !== undefined) await revocations.revoke(caller);
        return c.body(null, 204);
      },
    });
  });
