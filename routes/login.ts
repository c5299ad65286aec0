import { createRoute, z } from "@hono/zod-openapi";
import type { AuthMode } from "../auth/guard.ts";
import type { Credentials as SentCredentials, SignIn } from "../auth/sign_in.ts";
import { isTooLong } from "../auth/typed_password.ts";
import { respond } from "../http/response.ts";
import { type BodyLimits, readBody } from "../http/body.ts";
import { type App, operation } from "../http/operation.ts";
import type { RefusalReason } from "../metrics.ts";
import { errors, success, wrongCredentials } from "./responses.ts";
import { MomentOut, StorableText, Uuid } from "./schemas.ts";

const Email = StorableText.min(1);
// As the old server did, which asked its database for the text of whatever was sent.
const SentEmail = z.union([Email, z.number().transform(String), z.boolean().transform(String)]);
const AnyPassword = StorableText.min(1);
// bcrypt reads no more than 72 bytes.
const Password = AnyPassword.max(72).openapi({ writeOnly: true });

export const Credentials = z.looseObject({
  email: Email,
  password: Password.optional(),
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
  request: { body: { required: true, content: { "application/json": { schema: Credentials } } } },
  responses: {
    200: success(Session, "The account and a signed token."),
    401: wrongCredentials,
    ...errors(400, 405, 408, 413, 415, 422, 429, 500, 503),
  },
});

interface Deps {
  readonly mode: AuthMode;
  readonly signIn: SignIn;
  readonly limits: BodyLimits;
}

/** Lets an account in: by its email alone in AUTH_MODE=legacy, with its password in `required`. */
export const login = (app: App, { mode, signIn, limits }: Deps) =>
  operation(app, definition, async (c) => {
    const body = await readBody(c.req.raw, limits, "lenient");
    const credentials = credentialsOf(body.kind === "json" ? body.value : undefined);
    const signedIn = await signIn(credentials, c.env.clientAddress, c.env.effects.login);
    if (mode === "legacy") {
      c.env.wouldRefuse = refusalOf(credentials.password);
    } else {
      // A token is nobody's to keep but the client's (RFC 6750, section 5.3). The old server's answer
      // had no such header.
      c.env.responseHeaders["cache-control"] = "no-store";
    }
    return respond(c, 200, signedIn);
  });

const AnyFields = z.looseObject({
  email: z.unknown().optional(),
  password: z.unknown().optional(),
});

/**
 * Whatever isn't the credentials of an account is the same 401, a missing or odd body included: the
 * old front end shows that sentence and nothing else. So what is odd is only left out here.
 */
function credentialsOf(value: unknown): SentCredentials {
  const fields = AnyFields.safeParse(value).data;
  return {
    email: SentEmail.safeParse(fields?.email).data,
    // How long it may be is a matter of its bytes, and of their forms.
    password: AnyPassword.safeParse(fields?.password).data,
  };
}

/** Why `AUTH_MODE=required` would refuse a login whatever its account's password is. */
function refusalOf(password: string | undefined): RefusalReason | undefined {
  if (password === undefined) return "no_password";
  return isTooLong(password) ? "long_password" : undefined;
}
