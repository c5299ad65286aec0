import { dirname } from "node:path";
import { z } from "zod";
import { parseJson } from "../json.ts";
import { linkTarget } from "../link_target.ts";
import {
  brokenKeyFile,
  command,
  KeyFileError,
  namesAFolder,
  notAFile,
  readFailure,
  shellWord,
  writeFailure,
} from "./key_file_error.ts";

/** The only algorithm that signs and verifies tokens. */
export const ALGORITHM = "EdDSA";

/** A private key as the file stores it (a JSON Web Key, RFC 7517). */
export type KeyInFile = z.output<typeof KeyInFile>;

const KeyInFile = z.object({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  alg: z.literal(ALGORITHM),
  use: z.literal("sig"),
  kid: z.string().min(1),
  x: z.string().min(1),
  d: z.string().min(1),
  /** The time from which it signs, if delayed; until then it only verifies. */
  signs_from: z.iso.datetime().optional(),
  /** The time at which another key replaces it, if known. */
  retired_at: z.iso.datetime().optional(),
});

/** A daily rotation for years; such a file has less than half of {@link MAX_BYTES}. */
const MAX_KEYS = 1_000;
/** The most bytes that are read of a file. */
const MAX_BYTES = 1_000_000;

const KeyFile = z.object({ keys: z.tuple([KeyInFile], KeyInFile) })
  .refine(({ keys }) => keys.length <= MAX_KEYS);

/** The newest key comes first. The first key whose time has come signs; all verify. */
export type KeysInFile = readonly [KeyInFile, ...KeyInFile[]];

/**
 * Creates a key file that only its owner can read, and its folders. A link is followed.
 *
 * @throws {Deno.errors.AlreadyExists} a file exists: keys in use are never lost
 * @throws {KeyFileError} something else exists, or the file can't be created
 */
export async function makeKeyFile(path: string, keys: KeysInFile): Promise<void> {
  await refuseNonFile(path);
  const target = await linkTarget(path);
  try {
    await Deno.mkdir(dirname(target), { recursive: true });
    await writeNewFile(target, textOf(keys));
  } catch (cause) {
    if (cause instanceof Deno.errors.AlreadyExists) throw cause;
    throw writeFailure(path, target, cause);
  }
}

/** @throws {KeyFileError} the file is missing, readable by others, or no key file */
export async function readKeyFile(path: string): Promise<KeysInFile> {
  const { mode } = await statOf(path);
  if (mode !== null && (mode & 0o077) !== 0) {
    throw new KeyFileError(`${path} can be read by others: chmod 600 ${shellWord(path)}`);
  }
  const text = await readBounded(path);
  if (text.trim() === "") throw brokenKeyFile(path, "is empty");
  const file = KeyFile.safeParse(parseJson(text));
  if (!file.success) throw brokenKeyFile(path, "is not a key file");
  return file.data.keys;
}

/**
 * Replaces the keys of a file, behind its links. The change is atomic for readers, and concurrent
 * changes take turns. The file keeps owner and mode: the service may run as another user than the
 * operator.
 *
 * @throws {KeyFileError} as {@link readKeyFile}, and when the file can't be replaced
 */
export async function changeKeyFile(
  path: string,
  change: (keys: KeysInFile) => KeysInFile | Promise<KeysInFile>,
): Promise<void> {
  await statOf(path);
  using _turn = await takeTurn(path);
  const before = await readKeyFile(path);
  const after = await change(before);
  if (after.length > Math.max(before.length, MAX_KEYS)) {
    throw new KeyFileError(
      `JWT_KEYS_FILE ${path} has ${MAX_KEYS} keys, and one more would be too many: ` +
        `drop some with: ${command(path, "prune --now")}`,
    );
  }
  const target = await Deno.realPath(path);
  const next = `${target}.new`;
  try {
    const { mode, uid, gid } = await Deno.stat(target);
    await Deno.remove(next).catch(() => {});
    await writeNewFile(next, textOf(after));
    if (mode !== null) await Deno.chmod(next, mode & 0o777);
    const made = await Deno.stat(next);
    if (made.uid !== uid || made.gid !== gid) {
      await Deno.chown(next, uid, gid).catch((error) => {
        // The group has no rights on the file.
        if (made.uid !== uid) throw error;
      });
    }
    await Deno.rename(next, target);
  } catch (cause) {
    await Deno.remove(next).catch(() => {});
    throw writeFailure(path, target, cause);
  }
}

/** Locks the file itself, which leaves nothing beside it; the lock ends with the process. */
async function takeTurn(path: string): Promise<Disposable> {
  for (;;) {
    const file = await openToRead(path);
    await file.lock(true);
    const [locked, now] = [await file.stat(), await statOf(path)];
    if (locked.ino === now.ino) return file;
    // Another change replaced the file during the wait: lock the new one.
    file.close();
  }
}

async function refuseNonFile(path: string): Promise<void> {
  if (path.endsWith("/")) throw namesAFolder(path);
  const info = await Deno.stat(path).catch(async (cause) => {
    if (cause instanceof Deno.errors.NotFound) return undefined;
    return await throwReadFailure(path, cause);
  });
  const refusal = info && notAFile(path, info);
  if (refusal) throw refusal;
}

/** Checks a file before it is opened: opening a pipe would wait for a writer. */
async function statOf(path: string): Promise<Deno.FileInfo> {
  await refuseNonFile(path);
  return await Deno.stat(path).catch((cause) => throwReadFailure(path, cause));
}

async function openToRead(path: string): Promise<Deno.FsFile> {
  return await Deno.open(path).catch((cause) => throwReadFailure(path, cause));
}

async function throwReadFailure(path: string, cause: unknown): Promise<never> {
  throw await readFailure(path, cause);
}

async function readBounded(path: string): Promise<string> {
  using file = await openToRead(path);
  const bytes = new Uint8Array(MAX_BYTES + 1);
  let length = 0;
  for (let read: number | null = 0; read !== null && length < bytes.length; length += read ?? 0) {
    read = await file.read(bytes.subarray(length));
  }
  if (length > MAX_BYTES) throw brokenKeyFile(path, "is not a key file: it has more than 1 MB");
  return new TextDecoder().decode(bytes.subarray(0, length));
}

/** Creates a file; removes it when the write fails. */
async function writeNewFile(path: string, text: string): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  try {
    const bytes = new TextEncoder().encode(text);
    for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    // The file must be on disk before it replaces another.
    await file.sync();
  } catch (error) {
    await Deno.remove(path).catch(() => {});
    throw error;
  }
}

function textOf(keys: KeysInFile): string {
  return JSON.stringify({ keys }, undefined, 2) + "\n";
}
