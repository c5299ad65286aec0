import { Buffer } from "node:buffer";
import { z } from "zod";
import { parseJson } from "../../json.ts";

const Header = z.looseObject({ alg: z.string().regex(/^(ES|RS|PS)\d+$|^EdDSA$|^Ed25519$/) });
const Claims = z.looseObject({ sub: z.string().min(1) });

/**
 * The subject of a token that has the form of a JWT with an asymmetric signature. The signature itself
 * isn't verified.
 */
export function subjectOfSignedToken(token: string): string | undefined {
  const [header, claims, signature, ...more] = token.split(".");
  if (more.length > 0 || !/^[\w-]{20,}$/.test(signature ?? "")) return undefined;
  if (!Header.safeParse(decode(header)).success) return undefined;
  return Claims.safeParse(decode(claims)).data?.sub;
}

function decode(text = ""): unknown {
  if (!/^[\w-]+$/.test(text)) return undefined;
  return parseJson(Buffer.from(text, "base64url").toString());
}
