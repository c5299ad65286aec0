import { z } from "zod";
import { ROLES } from "./access.ts";

/** The claims of a valid token; times in s since 1970. */
export type Claims = z.output<typeof ClaimsOfToken>;

export const ClaimsOfToken = z.object({
  sub: z.guid(),
  role: z.enum(ROLES).nullable(),
  jti: z.guid(),
  iat: z.number().int(),
  exp: z.number().int(),
});
