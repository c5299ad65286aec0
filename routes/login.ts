import { createRoute, z } from "@hono/zod-openapi";
import type { TokenIssuer } from "../auth/tokens.ts";
import type { Sql } from "../db/connect.ts";
import { findUserByEmail } from "../db/users.ts";
import { ApiError } from "../errors.ts";
import { answer } from "../http/answer.ts";
import { type BodyLimits, readBody } from "../http/body.ts";
import { type App, operation } from "../http/operation.ts";
import { errors, success } from "./responses.ts";
import { MomentOut, StorableText, Uuid } from "./schemas.ts";

export const Credentials = z.looseObject({
  email: StorableText.min(1),
}).openapi("Credentials");

export const User = z.strictObject({
  id: Uuid,
  email: z.string(),
  full_name: z.string().nullable(),
  role: z.enum(["ADMIN", "MANAGER", "AUDITOR", "OPERATOR", "VIEWER"]).nullable(),
  created_at: MomentOut,
  last_login: MomentOut,
}).openapi("User");

export const Session = z.strictObject({
  user: User,
  token: z.string().regex(/^[\w-]+\.[\w-]+\.[\w-]+$/),
}).openapi("Session");

const definition = createRoute({
  operationId: "login",
  method: "post",
  path: "/api/login",
  security: [],
  request: { body: { required: true, content: { "application/json": { schema: Credentials } } } },
  responses: {
    200: success(Session, "The account and a signed token."),
    ...errors(400, 401, 405, 408, 413, 415, 422, 429, 500, 503),
  },
});

interface Deps {
  readonly sql: Sql;
  readonly issueToken: TokenIssuer;
  readonly limits: BodyLimits;
}

/** AUTH_MODE=legacy: an email that is known is let in, with a real token to show for it. */
export const login = (app: App, { sql, issueToken, limits }: Deps) =>
  operation(app, definition, async (c) => {
    // Whatever isn't a known account is the same 401, a missing or odd body included: the old
    // front end shows that sentence and nothing else.
    const body = await readBody(c.req.raw, limits);
    const credentials = Credentials.safeParse(body.kind === "json" ? body.value : {});
    const user = credentials.success
      ? await findUserByEmail(sql, credentials.data.email)
      : undefined;
    if (user === undefined) throw new ApiError("user_not_found", "User not found");
    return answer(c, 200, { user, token: await issueToken(user) });
  });
