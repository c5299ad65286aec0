import { z } from "@hono/zod-openapi";
import { respond } from "../http/response.ts";
import { type App, operation } from "../http/operation.ts";
import type { RouteDeps } from "./deps.ts";
import { readRoute, success } from "./responses.ts";

const SigningKey = z.strictObject({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  alg: z.literal("EdDSA"),
  use: z.literal("sig"),
  kid: z.string(),
  x: z.string(),
}).openapi("SigningKey");

export const SigningKeySet = z.strictObject({ keys: z.array(SigningKey) }).openapi("SigningKeySet");

const definition = readRoute("getSigningKeys", "/.well-known/jwks.json", success(SigningKeySet));

/** The public keys as a JSON Web Key Set (RFC 7517). */
export const getSigningKeys = (app: App, { keys }: RouteDeps) =>
  operation(app, definition, (c) => respond(c, 200, keys.current().published));
