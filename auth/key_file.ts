import { dirname, resolve } from "node:path";
import { z } from "zod";
import { parseJson } from "../json.ts";
import { linkTarget } from "../link_target.ts";
import { isOpenToOthers, openToOthers } from "../secret_files.ts";
import { shellWord } from "../shell_word.ts";

/** A key file is unusable; the message says why and, if possible, what to do. */
export class KeyFileError extends Error {
  override name = "KeyFileError";
}

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
/** A larger file is not read. */
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
  await statOf(path).catch((error) => {
    if (!(error.cause instanceof Deno.errors.NotFound)) throw error;
  });
  const target = await linkTarget(path);
  try {
    await Deno.mkdir(dirname(target), { recursive: true });
    await writeNewFile(target, keys);
  } catch (cause) {
    if (cause instanceof Deno.errors.AlreadyExists) throw cause;
    throw writeFailure(path, target, cause);
  }
}

/**
 * Reads a file that its owner and its group alone can read. Secrets that a platform mounts belong to
 * root, and the process reads them as one of their group.
 *
 * @throws {KeyFileError} the file is missing, readable by others, or no key file
 */
export async function readKeyFile(path: string): Promise<KeysInFile> {
  await statOf(path);
  using opened = await Deno.open(path).catch((cause) => throwReadFailure(path, cause));
  // Of the file that is read: a mounted secret is swapped at any moment.
  const info = await opened.stat();
  if (isOpenToOthers(info)) throw new KeyFileError(`${path} ${openToOthers(path)}`);
  if (info.size > MAX_BYTES) throw brokenKeyFile(path, "is not a key file: it has more than 1 MB");
  const bytes = await new Response(opened.readable).bytes()
    .catch((cause) => throwReadFailure(path, cause));
  const text = new TextDecoder().decode(bytes);
  if (text.trim() === "") throw brokenKeyFile(path, "is empty");
  const file = KeyFile.safeParse(parseJson(text));
  if (!file.success) throw brokenKeyFile(path, "is not a key file");
  return file.data.keys;
}

/**
 * Replaces the keys of a file, behind its links. The change is atomic for readers, and concurrent
 * changes take turns. The file keeps owner, group and mode: the service may run as another user than
 * the operator.
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
    await writeNewFile(next, after);
    const made = await Deno.stat(next);
    if (made.uid !== uid || made.gid !== gid) {
      await Deno.chown(next, uid, gid).catch((error) => {
        // Another group does no harm where it has no rights on the file.
        if (made.uid !== uid || ((mode ?? 0) & 0o070) !== 0) throw error;
      });
    }
    // Afterwards, so that the maker's group never reads the keys.
    if (mode !== null) await Deno.chmod(next, mode & 0o777);
    await Deno.rename(next, target);
  } catch (cause) {
    await Deno.remove(next).catch(() => {});
    throw writeFailure(path, target, cause);
  }
}

/** Locks the file itself, which leaves nothing beside it; the lock ends with the process. */
async function takeTurn(path: string): Promise<Disposable> {
  for (;;) {
    const file = await Deno.open(path).catch((cause) => throwReadFailure(path, cause));
    await file.lock(true);
    const [locked, now] = [await file.stat(), await statOf(path)];
    if (locked.ino === now.ino) return file;
    // Another change replaced the file during the wait: lock the new one.
    file.close();
  }
}

/** Checks a file before it is opened: opening a pipe would wait for a writer. */
async function statOf(path: string): Promise<Deno.FileInfo> {
  if (path.endsWith("/")) throw namesAFolder(path);
  const info = await Deno.stat(path).catch((cause) => throwReadFailure(path, cause));
  if (info.isFile) return info;
  if (info.isDirectory) throw namesAFolder(path);
  const kind = info.isFifo ? "a pipe" : info.isSocket ? "a socket" : "a device";
  throw new KeyFileError(`JWT_KEYS_FILE ${path} is ${kind}: name a file`);
}

async function writeNewFile(path: string, keys: KeysInFile): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  try {
    const bytes = new TextEncoder().encode(JSON.stringify({ keys }, undefined, 2) + "\n");
    for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    // The file must be on disk before it replaces another.
    await file.sync();
  } catch (error) {
    await Deno.remove(path).catch(() => {});
    throw error;
  }
}

function command(path: string, words: string): string {
  return `JWT_KEYS_FILE=${shellWord(path)} deno task keys ${words}`;
}

/** @param what is wrong with the content */
export function brokenKeyFile(path: string, what: string): KeyFileError {
  const word = shellWord(path);
  return new KeyFileError(
    `JWT_KEYS_FILE ${path} ${what}: put a copy of it back, or make a new one, which ends all ` +
      `tokens: mv ${word} ${word}.broken && ${command(path, "create")}`,
  );
}

function namesAFolder(path: string): KeyFileError {
  return new KeyFileError(
    `JWT_KEYS_FILE ${path} is a folder: name a file in it, such as ${
      path.replace(/\/?$/, "/")
    }keys.json`,
  );
}

async function throwReadFailure(path: string, cause: unknown): Promise<never> {
  throw new KeyFileError(`JWT_KEYS_FILE ${path} ${await readProblem(path, cause)}`, { cause });
}

async function readProblem(path: string, cause: unknown): Promise<string> {
  switch (codeOf(cause)) {
    case "ENOENT": {
      const isLink = await Deno.lstat(path).then(({ isSymlink }) => isSymlink, () => false);
      if (!isLink) return "can't be read, make one with: deno task keys create";
      return `is a link to ${await linkTarget(path)}, which isn't there: ` +
        `make it with: ${command(path, "create")}`;
    }
    case "ENOTDIR":
      return `can't be there: ${await lastPassed(path)} is no folder`;
    case "ELOOP":
      return "is a link that leads back to itself";
    case "ENAMETOOLONG":
      return "can't be used: its name is too long";
    case "EACCES": {
      const uid = await Deno.stat(path).then(({ uid }) => uid, () => undefined);
      return uid === undefined
        ? `can't be reached: the user who runs this may not enter ${await lastPassed(path)}`
        : `can't be read by the user who runs this: it belongs to user ${uid}`;
    }
    default:
      return `can't be read: ${messageOf(cause)}`;
  }
}

/**
 * Explains a system error of creating or replacing the file.
 *
 * @param target the end of the path's links
 */
function writeFailure(path: string, target: string, cause: unknown): KeyFileError {
  const folder = dirname(target);
  const reasons = new Map<unknown, string>([
    ["EACCES", `the user who runs this may not make files in ${folder}`],
    ["EROFS", `${folder} can only be read`],
    ["EBUSY", "it is mounted by itself, and can't be replaced: mount its folder instead"],
    ["EPERM", "only root can put another with its owner and group in its place"],
  ]);
  const reason = reasons.get(codeOf(cause)) ?? messageOf(cause);
  return new KeyFileError(`JWT_KEYS_FILE ${path} can't be written: ${reason}`, { cause });
}

/** The longest part of a path that exists, links followed. */
async function lastPassed(path: string): Promise<string> {
  let at = await linkTarget(path).catch(() => resolve(path));
  while (at !== dirname(at) && !await Deno.lstat(at).then(() => true, () => false)) {
    at = dirname(at);
  }
  return at;
}

const codeOf = (thrown: unknown) =>
  thrown instanceof Error && "code" in thrown ? thrown.code : undefined;

/** The system's message without Deno's addition. */
function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message.replace(/ \(os error \d+\).*/, "") : String(cause);
}
