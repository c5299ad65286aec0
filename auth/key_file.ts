import { z } from "zod";

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
const KeyFile = z.object({ keys: z.tuple([KeyInFile], KeyInFile) });

/** The keys of a file, the newest first: the first that may signs, all of them verify. */
export type KeysInFile = readonly [KeyInFile, ...KeyInFile[]];

/** A key file that can't be used; the message says why and what to do. */
export class KeyFileError extends Error {
  override name = "KeyFileError";
}

/**
 * Makes a key file, readable by its owner only.
 * @throws {Deno.errors.AlreadyExists} when there is a file already: keys in use are never lost
 */
export async function makeKeyFile(path: string, keys: KeysInFile): Promise<void> {
  await Deno.writeTextFile(path, textOf(keys), { createNew: true, mode: 0o600 });
}

/**
 * Reads a key file.
 * @throws {KeyFileError} when it is missing, readable by others, or not a key file
 */
export async function readKeyFile(path: string): Promise<KeysInFile> {
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
  return file.data.keys;
}

/**
 * Puts other keys into a key file. Whoever reads it sees those of before or those of after, and two
 * changes at once take turns. The file keeps its owner and mode: the service that reads it may be
 * another user than the one who changes it.
 *
 * @throws {KeyFileError} as {@link readKeyFile}
 */
export async function changeKeyFile(
  path: string,
  change: (keys: KeysInFile) => KeysInFile | Promise<KeysInFile>,
): Promise<void> {
  using _turn = await takeTurn(path);
  const after = await change(await readKeyFile(path));
  const { mode, uid, gid } = await Deno.stat(path);
  const next = `${path}.new`;
  await Deno.remove(next).catch(() => {});
  try {
    await makeKeyFile(next, after);
    if (mode !== null) await Deno.chmod(next, mode & 0o777);
    if ((await Deno.stat(next)).uid !== uid) await Deno.chown(next, uid, gid);
    await Deno.rename(next, path);
  } catch (error) {
    await Deno.remove(next).catch(() => {});
    throw error;
  }
}

/** Locks the file itself, so that nothing is left beside it; the lock ends with the process. */
async function takeTurn(path: string): Promise<Disposable> {
  for (;;) {
    const file = await Deno.open(path).catch((cause) => {
      throw new KeyFileError(
        `JWT_KEYS_FILE ${path} can't be read, make one with: deno task keys create`,
        { cause },
      );
    });
    await file.lock(true);
    const [locked, now] = [await file.stat(), await Deno.stat(path)];
    if (locked.ino === now.ino) return file;
    // While it waited another change has put a new file there: that one is to be locked.
    file.close();
  }
}

function textOf(keys: KeysInFile): string {
  return JSON.stringify({ keys }, undefined, 2) + "\n";
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
