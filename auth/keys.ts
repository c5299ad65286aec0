import { createPrivateKey, type KeyObject } from "node:crypto";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import { MAX_TOKEN_TTL_MINUTES } from "../config.ts";
import {
  ALGORITHM,
  brokenKeyFile,
  changeKeyFile,
  type KeyInFile,
  type KeysInFile,
  makeKeyFile,
  readKeyFile,
} from "./key_file.ts";

/** The keys of a process: one signs; the public parts of all are published. */
export interface SigningKeys {
  readonly kid: string;
  readonly privateKey: KeyObject;
  /** When another key of the file starts to sign, in ms since 1970. */
  readonly until?: number;
  /** For `/.well-known/jwks.json`; without private parts. */
  readonly published: { readonly keys: readonly JWK[] };
}

/**
 * A replaced key is kept this long, in ms: its last token may have the longest lifetime that can be
 * set, and a process may load the new key late.
 */
const KEEP_MS = (MAX_TOKEN_TTL_MINUTES + 60) * 60_000;

/** Creates a key file with one new Ed25519 key, and throws as {@link makeKeyFile} does. */
export async function createKeyFile(path: string): Promise<void> {
  await makeKeyFile(path, [await newKey()]);
}

/** @throws {KeyFileError} the file is missing, readable by others, or no key file */
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

/** A key should sign for this long at most, in days; docs/setup.md advises another once a month. */
export const MAX_SIGNING_DAYS = 90;

/** What a key file says of the age of its keys. */
export interface KeyAges {
  readonly keys: number;
  /** From when on its key signs. */
  readonly since: Date;
  /** When another key starts to sign. */
  readonly next?: Date;
  /** How many {@link pruneKeys} would drop. */
  readonly unneeded: number;
}

/** @param changedAt of the file, which its first key has no time of its own for */
export function readKeyAges(
  keys: KeysInFile,
  changedAt: Date,
  now: Date = new Date(),
): KeyAges {
  const index = signingIndex(keys, now.getTime());
  const { signs_from: from = changedAt.toISOString() } = keys[index] ?? keys[0];
  const next = keys[index - 1]?.signs_from;
  const unneeded = keys.slice(index + 1).filter(({ retired_at }) =>
    retired_at !== undefined && !isNeeded(retired_at, now)
  );
  return {
    keys: keys.length,
    since: new Date(from),
    ...(next !== undefined && { next: new Date(next) }),
    unneeded: unneeded.length,
  };
}

/** Whether a token that the key signed may still be valid. */
const isNeeded = (retiredAt: string, now: Date) => Date.parse(retiredAt) > now.getTime() - KEEP_MS;

/** The newest key whose time to sign has come; the newest of all when there is none. */
function signingIndex(keys: KeysInFile, now: number): number {
  const index = keys.findIndex(({ signs_from }) => Date.parse(signs_from ?? "1970") <= now);
  return Math.max(index, 0);
}

/**
 * Adds a key that signs from then on; the others go on verifying what they signed.
 *
 * @param from later than now when the file has to reach other machines first
 * @returns the number of keys
 * @throws {KeyFileError} the file can't be used
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

/**
 * Drops the keys that signed no token that is still valid.
 *
 * @param evenNeeded drops every replaced key: its tokens end
 * @throws {KeyFileError} the file can't be used
 */
export async function pruneKeys(
  path: string,
  { evenNeeded, now = new Date() }: { readonly evenNeeded: boolean; readonly now?: Date },
): Promise<{ readonly dropped: number; readonly left: number }> {
  let pruned = { dropped: 0, left: 0 };
  await changeKeyFile(path, (keys) => {
    const inUse = signingIndex(keys, now.getTime()) + 1;
    const needed = evenNeeded ? [] : keys.slice(inUse).map((key) => ({
      ...key,
      // A key that was added by hand: its retention starts now.
      retired_at: key.retired_at ?? now.toISOString(),
    })).filter(({ retired_at }) => isNeeded(retired_at, now));
    const left: KeysInFile = [keys[0], ...keys.slice(1, inUse), ...needed];
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
