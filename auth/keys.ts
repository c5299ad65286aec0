import { createPrivateKey, type KeyObject } from "node:crypto";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import { MAX_TOKEN_TTL_MINUTES } from "../config.ts";
import {
  ALGORITHM,
  changeKeyFile,
  type KeyInFile,
  type KeysInFile,
  makeKeyFile,
  readKeyFile,
} from "./key_file.ts";
import { brokenKeyFile } from "./key_file_error.ts";

/** The keys of a process: one signs, the public parts of all are published. */
export interface SigningKeys {
  /** The key that signs. */
  readonly kid: string;
  readonly privateKey: KeyObject;
  /** When another key of the file begins to sign, in ms since 1970; nothing if none is to. */
  readonly until?: number;
  /** For `/.well-known/jwks.json`; nothing secret in it. */
  readonly published: { readonly keys: readonly JWK[] };
}

/**
 * How long a key stays after another took its place, in ms: its last token may live for the longest
 * time that can be set, and a process may have heard of the new key late.
 */
const KEEP_MS = (MAX_TOKEN_TTL_MINUTES + 60) * 60_000;

/**
 * Makes a key file with one new Ed25519 key, readable by its owner only.
 * @throws {Deno.errors.AlreadyExists} when there is a file already: keys in use are never lost
 * @throws {KeyFileError} when no file can be made there
 */
export async function createKeyFile(path: string): Promise<void> {
  await makeKeyFile(path, [await newKey()]);
}

/**
 * Reads the key file.
 * @throws {KeyFileError} when it is missing, readable by others, or not a key file
 */
export async function loadSigningKeys(path: string, now = Date.now()): Promise<SigningKeys> {
  const keys = await readKeyFile(path);
  const index = signingIndex(keys, now);
  const signing = keys[index] ?? keys[0];
  const privateKey = privateKeyOf(signing);
  if (privateKey === undefined) throw brokenKeyFile(path, "holds no private key");
  const until = keys[index - 1]?.signs_from;
  return {
    kid: signing.kid,
    privateKey,
    ...until !== undefined && { until: Date.parse(until) },
    published: { keys: keys.map(publicPartOf) },
  };
}

/** The newest key whose time to sign has come; the newest of all when that is said of none. */
function signingIndex(keys: KeysInFile, now: number): number {
  const index = keys.findIndex(({ signs_from }) => Date.parse(signs_from ?? "1970") <= now);
  return Math.max(index, 0);
}

/**
 * Puts a new key in front: it signs from that moment on, the others go on verifying what they signed.
 *
 * @param from later than now where the file has to reach other machines first
 * @returns how many keys there are now
 * @throws {KeyFileError} when the file can't be used
 */
export async function rotateKeys(path: string, from = new Date()): Promise<number> {
  let count = 0;
  const moment = from.toISOString();
  await changeKeyFile(path, async ([newest, ...others]) => {
    const retired = { ...newest, retired_at: moment };
    const keys: KeysInFile = [{ ...await newKey(), signs_from: moment }, retired, ...others];
    count = keys.length;
    return keys;
  });
  return count;
}

/** What {@link pruneKeys} did. */
export interface Pruned {
  readonly dropped: number;
  readonly left: number;
}

/**
 * Drops the keys that no valid token can be signed with any more.
 *
 * @param evenNeeded drops every key that another has replaced: their tokens end
 * @throws {KeyFileError} when the file can't be used
 */
export async function pruneKeys(
  path: string,
  { evenNeeded, now = new Date() }: { readonly evenNeeded: boolean; readonly now?: Date },
): Promise<Pruned> {
  let pruned: Pruned = { dropped: 0, left: 0 };
  await changeKeyFile(path, (keys) => {
    const inUse = signingIndex(keys, now.getTime()) + 1;
    const kept = evenNeeded ? [] : keys.slice(inUse).map((key) => ({
      ...key,
      // A key that was put into the file by hand: its time begins now.
      retired_at: key.retired_at ?? now.toISOString(),
    })).filter(({ retired_at }) => Date.parse(retired_at) > now.getTime() - KEEP_MS);
    const left: KeysInFile = [keys[0], ...keys.slice(1, inUse), ...kept];
    pruned = { dropped: keys.length - left.length, left: left.length };
    return left;
  });
  return pruned;
}

async function newKey(): Promise<KeyInFile> {
  const { privateKey } = await generateKeyPair(ALGORITHM, { crv: "Ed25519", extractable: true });
  const { x = "", d = "" } = await exportJWK(privateKey);
  const kid = crypto.randomUUID();
  return { kty: "OKP", crv: "Ed25519", x, d, alg: ALGORITHM, use: "sig", kid };
}

function privateKeyOf({ kty, crv, x, d }: KeyInFile): KeyObject | undefined {
  try {
    return createPrivateKey({ key: { kty, crv, x, d }, format: "jwk" });
  } catch {
    return undefined;
  }
}

function publicPartOf({ kty, crv, x, alg, use, kid }: KeyInFile): JWK {
  return { kty, crv, x, alg, use, kid };
}
