import { createRoute, z } from "@hono/zod-openapi";
import { ROLES } from "../auth/access.ts";
import type { Credentials as SentCredentials } from "../auth/sign_in.ts";
import { isTooLong } from "../auth/typed_password.ts";
import { respond } from "../http/response.ts";
import { readBody } from "../http/body.ts";
import { type App, operation } from "../http/operation.ts";
import { isObject } from "../json.ts";
import type { RefusalReason } from "../metrics.ts";
import type { RouteDeps } from "./deps.ts";
import { errors, errorWithETag, success } from "./responses.ts";
import { StorableText, Timestamp, Uuid } from "./schemas.ts";

const Email = StorableText.min(1);
// The old server passed anything to its database as text.
const SentEmail = z.union([Email, z.number().transform(String), z.boolean().transform(String)]);
const Password = StorableText.min(1);

export const Credentials = z.looseObject({
  email: Email,
  // `legacy` accepts anything, as the old server does.
  password: z.unknown().optional().openapi({ writeOnly: true }),
}).openapi("Credentials");

export const User = z.strictObject({
  id: Uuid,
  email: z.string(),
  full_name: z.string().nullable(),
  role: z.enum(ROLES).nullable(),
  created_at: Timestamp.nullable(),
  last_login: Timestamp.nullable(),
}).openapi("User");

export const Session = z.strictObject({
  user: User,
  token: z.string().regex(/^[\w-]+\.[\w-]+\.[\w-]+$/),
}).openapi("Session");

const definition = createRoute({
  operationId: "login",
  method: "post",
  path: "/api/login",
  request: { body: { required: true, content: { "application/json": { schema: Credentials } } } },
  responses: {
    200: success(Session),
    401: errorWithETag,
    ...errors(400, 405, 408, 413, 415, 422, 429, 500, 503),
  },
});

/** Signs in by email alone in AUTH_MODE=legacy, with the password in `required`. */
export const login = (app: App, { mode, signIn, limits }: RouteDeps) =>
  operation(app, definition, async (c) => {
    const body = await readBody(c.req.raw, limits, "lenient");
    const credentials = credentialsOf(body.kind === "json" ? body.value : undefined);
    const { clientAddress, effects, requestId } = c.env;
    const signedIn = await signIn(credentials, clientAddress, {
      ...effects.login,
      onOutcome(outcome, userId) {
        c.env.signingIn = userId;
        effects.login.onOutcome(outcome, userId, requestId);
      },
    });
    if (mode === "legacy") {
      c.env.wouldRefuse = refusalOf(credentials.password);
    } else {
      // Caches must not store a token (RFC 6750, section 5.3). The old server sent no such header.
      c.env.responseHeaders["cache-control"] = "no-store";
    }
    return respond(c, 200, signedIn);
  });

/**
 * Anything but an account's credentials is the same 401, a missing or odd body included: the old
 * front end shows only that sentence. Fields of another type are therefore dropped.
 */
function credentialsOf(value: unknown): SentCredentials {
  const fields = isObject(value) ? value : {};
  return {
    email: SentEmail.safeParse(fields.email).data,
    // Its maximum depends on the bytes of its Unicode forms.
    password: Password.safeParse(fields.password).data,
  };
}

/** Why `AUTH_MODE=required` would refuse a login for any account. */
function refusalOf(password: string | undefined): RefusalReason | undefined {
  if (password === undefined) return "no_password";
  return isTooLong(password) ? "long_password" : undefined;
}
