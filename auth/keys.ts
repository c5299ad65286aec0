import { type CryptoKey, exportJWK, generateKeyPair, importJWK, type JWK } from "jose";
import { z } from "zod";

/** The one algorithm that tokens are signed with and accepted in. */
export const ALGORITHM = "EdDSA";

const PrivateKey = z.object({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  alg: z.literal(ALGORITHM),
  use: z.literal("sig"),
  kid: z.string().min(1),
  x: z.string().min(1),
  d: z.string().min(1),
});
const KeyFile = z.object({ keys: z.array(PrivateKey).min(1) });

/** A key file that can't be used; the message says why and what to do. */
export class KeyFileError extends Error {
  override name = "KeyFileError";
}

/** The signing keys of a process: the first signs, the public parts of all are published. */
export interface SigningKeys {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  /** For `/.well-known/jwks.json`; nothing secret in it. */
  readonly published: { readonly keys: readonly JWK[] };
}

/**
 * Makes a key file with one new Ed25519 key, readable by its owner only.
 * @throws {Deno.errors.AlreadyExists} when there is a file already: keys in use are never lost
 */
export async function createKeyFile(path: string): Promise<void> {
  const { privateKey } = await generateKeyPair(ALGORITHM, { crv: "Ed25519", extractable: true });
  const jwk = await exportJWK(privateKey);
  const key = { ...jwk, alg: ALGORITHM, use: "sig", kid: crypto.randomUUID() };
  const file = JSON.stringify({ keys: [key] }, undefined, 2) + "\n";
  await Deno.writeTextFile(path, file, { createNew: true, mode: 0o600 });
}

/**
 * Reads the key file.
 * @throws {KeyFileError} when it is missing, readable by others, or not a key file
 */
export async function loadSigningKeys(path: string): Promise<SigningKeys> {
  const { keys: [first, ...others] } = await readKeyFile(path);
  const privateKey = first && await importJWK(first, ALGORITHM);
  if (first === undefined || !(privateKey instanceof globalThis.CryptoKey)) {
    throw new KeyFileError(`${path} holds no private key`);
  }
  const published = [first, ...others].map(({ d: _secret, ...publicPart }) => publicPart);
  return { kid: first.kid, privateKey, published: { keys: published } };
}

async function readKeyFile(path: string): Promise<z.output<typeof KeyFile>> {
  const make = `make one with: deno task keys create`;
  let text: string;
  try {
    const { mode } = await Deno.stat(path);
    if (mode !== null && (mode & 0o077) !== 0) {
      throw new KeyFileError(`${path} can be read by others: chmod 600 ${path}`);
    }
    text = await Deno.readTextFile(path);
  } catch (cause) {
    if (cause instanceof KeyFileError) throw cause;
    throw new KeyFileError(`JWT_KEYS_FILE ${path} can't be read, ${make}`, { cause });
  }
  const file = KeyFile.safeParse(parse(text));
  if (!file.success) throw new KeyFileError(`${path} is not a key file, ${make}`);
  return file.data;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
