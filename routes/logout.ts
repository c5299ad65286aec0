import { createRoute } from "@hono/zod-openapi";
import type { Revocations } from "../auth/revocations.ts";
import { type App, operation } from "../http/operation.ts";
import { errors } from "./responses.ts";

const definition = createRoute({
  operationId: "logout",
  method: "post",
  path: "/api/logout",
  responses: {
    204: { description: "The token is worth nothing any more." },
    ...errors(401, 405, 500, 503),
  },
});

/**
 * Ends the token that it is sent with, on every process. Without a valid one there is nothing to
 * end: in AUTH_MODE=legacy that is 204 as well. A body isn't looked at.
 */
export const logout = (app: App, { revocations }: { revocations: Revocations }) =>
  operation(app, definition, async (c) => {
    const { caller } = c.env;
    if (caller !== undefined) await revocations.revoke(caller);
    return c.body(null, 204);
  });
