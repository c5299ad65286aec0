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

/** The one algorithm that tokens are signed with and accepted in. */
export const ALGORITHM = "EdDSA";

/** A key with its private part, as the file holds it (a JSON Web Key, RFC 7517). */
export type KeyInFile = z.output<typeof KeyInFile>;

const KeyInFile = z.object({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  alg: z.literal(ALGORITHM),
  use: z.literal("sig"),
  kid: z.string().min(1),
  x: z.string().min(1),
  d: z.string().min(1),
  /** When it begins to sign, if that was put off; until then it only verifies. */
  signs_from: z.iso.datetime().optional(),
  /** When another key takes its place; nothing while that isn't known. */
  retired_at: z.iso.datetime().optional(),
});

/** A rotation a day for years; a file of as many has less than half of {@link MAX_BYTES}. */
const MAX_KEYS = 1_000;
/** What is read of a file before it is refused. */
const MAX_BYTES = 1_000_000;

const KeyFile = z.object({ keys: z.tuple([KeyInFile], KeyInFile) })
  .refine(({ keys }) => keys.length <= MAX_KEYS);

/** The keys of a file, the newest first: the first that may signs, all of them verify. */
export type KeysInFile = readonly [KeyInFile, ...KeyInFile[]];

/**
 * Makes a key file, readable by its owner only, with the folders on its way. Where the path is a link,
 * the file is made where that leads.
 *
 * @throws {Deno.errors.AlreadyExists} when there is a file already: keys in use are never lost
 * @throws {KeyFileError} when there is something else, or no file can be made there
 */
export async function makeKeyFile(path: string, keys: KeysInFile): Promise<void> {
  await refuseWhatIsNoFile(path);
  const target = await linkTarget(path);
  try {
    await Deno.mkdir(dirname(target), { recursive: true });
    await writeNewFile(target, textOf(keys));
  } catch (cause) {
    if (cause instanceof Deno.errors.AlreadyExists) throw cause;
    throw writeFailure(path, target, cause);
  }
}

/**
 * Reads a key file.
 * @throws {KeyFileError} when it is missing, readable by others, or not a key file
 */
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
 * Puts other keys into a key file, behind its links. Every reader sees the keys of before or those of
 * after, and two changes at once take turns. The file keeps its owner and mode: the service that
 * reads it may be another user than the one who changes it.
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
  if (after.length > Math.max(before.length, MAX_KEYS)) throw tooManyKeys(path);
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
        // Of the group nothing depends, since it may do nothing with the file.
        if (made.uid !== uid) throw error;
      });
    }
    await Deno.rename(next, target);
  } catch (cause) {
    await Deno.remove(next).catch(() => {});
    throw writeFailure(path, target, cause);
  }
}

/** Locks the file itself, so that nothing is left beside it; the lock ends with the process. */
async function takeTurn(path: string): Promise<Disposable> {
  for (;;) {
    const file = await openToRead(path);
    await file.lock(true);
    const [locked, now] = [await file.stat(), await statOf(path)];
    if (locked.ino === now.ino) return file;
    // While it waited another change has put a new file there: that one is to be locked.
    file.close();
  }
}

async function refuseWhatIsNoFile(path: string): Promise<void> {
  if (path.endsWith("/")) throw namesAFolder(path);
  const info = await Deno.stat(path).catch(async (cause) => {
    if (cause instanceof Deno.errors.NotFound) return undefined;
    throw await readFailure(path, cause);
  });
  const refusal = info && notAFile(path, info);
  if (refusal) throw refusal;
}

/** Looks at a file before it is opened: a pipe would wait for a writer. */
async function statOf(path: string): Promise<Deno.FileInfo> {
  await refuseWhatIsNoFile(path);
  try {
    return await Deno.stat(path);
  } catch (cause) {
    throw await readFailure(path, cause);
  }
}

async function openToRead(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path);
  } catch (cause) {
    throw await readFailure(path, cause);
  }
}

/** The text of a file, of which no more is read than a key file may have. */
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

/** Writes a file that wasn't there; what couldn't be written whole is removed again. */
async function writeNewFile(path: string, text: string): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  try {
    const bytes = new TextEncoder().encode(text);
    for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    // On the disk before it takes another one's place.
    await file.sync();
  } catch (error) {
    await Deno.remove(path).catch(() => {});
    throw error;
  }
}

function tooManyKeys(path: string): KeyFileError {
  return new KeyFileError(
    `JWT_KEYS_FILE ${path} has ${MAX_KEYS} keys, and one more would be too many: ` +
      `drop some with: ${command(path, "prune --now")}`,
  );
}

function textOf(keys: KeysInFile): string {
  return JSON.stringify({ keys }, undefined, 2) + "\n";
}
