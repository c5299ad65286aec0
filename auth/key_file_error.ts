import { dirname, resolve } from "node:path";
import { linkTarget } from "../link_target.ts";

/** A key file that can't be used; the message says why and, where something can be done, what. */
export class KeyFileError extends Error {
  override name = "KeyFileError";
}

/** The command that makes a key file at a path. */
export const createCommand = (path: string) => command(path, "create");

/** A `deno task keys` command for a path, to be typed into a shell as it is. */
export function command(path: string, words: string): string {
  return `JWT_KEYS_FILE=${shellWord(path)} deno task keys ${words}`;
}

/** A path as one word of a shell. */
export function shellWord(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}

/** @param what is wrong with what the file holds */
export function brokenKeyFile(path: string, what: string): KeyFileError {
  const word = shellWord(path);
  return new KeyFileError(
    `JWT_KEYS_FILE ${path} ${what}: put a copy of it back, or make a new one, which ends all ` +
      `tokens: mv ${word} ${word}.broken && ${createCommand(path)}`,
  );
}

/** Why a path is no file that can be read; nothing when it is one. */
export function notAFile(path: string, info: Deno.FileInfo): KeyFileError | undefined {
  if (info.isFile) return undefined;
  if (info.isDirectory) return namesAFolder(path);
  const kind = info.isFifo ? "a pipe" : info.isSocket ? "a socket" : "a device";
  return new KeyFileError(`JWT_KEYS_FILE ${path} is ${kind}: name a file`);
}

/** The path is that of a folder, or ends like one. */
export function namesAFolder(path: string): KeyFileError {
  return new KeyFileError(
    `JWT_KEYS_FILE ${path} is a folder: name a file in it, such as ${
      path.replace(/\/?$/, "/")
    }keys.json`,
  );
}

/** What the system's refusal to let the file be read or looked at means. */
export async function readFailure(path: string, cause: unknown): Promise<KeyFileError> {
  const error = (what: string) => new KeyFileError(`JWT_KEYS_FILE ${path} ${what}`, { cause });
  switch (codeOf(cause)) {
    case "ENOENT":
      return error(
        await isLink(path)
          ? `is a link to ${await linkTarget(path)}, which isn't there: ` +
            `make it with: ${createCommand(path)}`
          : "can't be read, make one with: deno task keys create",
      );
    case "ENOTDIR":
      return error(`can't be there: ${await lastPassed(path)} is no folder`);
    case "ELOOP":
      return error("is a link that leads back to itself");
    case "ENAMETOOLONG":
      return error("can't be used: its name is too long");
    case "EACCES": {
      const uid = await Deno.stat(path).then(({ uid }) => uid, () => undefined);
      return error(
        uid === undefined
          ? `can't be reached: the user who runs this may not enter ${await lastPassed(path)}`
          : `can't be read by the user who runs this: it belongs to user ${uid}`,
      );
    }
    default:
      return error(`can't be read: ${messageOf(cause)}`);
  }
}

/**
 * What the system's refusal to let the file be made or replaced means.
 * @param target where the links of the path end
 */
export function writeFailure(
  path: string,
  target: string,
  cause: unknown,
): KeyFileError {
  const folder = dirname(target);
  const error = (what: string) =>
    new KeyFileError(`JWT_KEYS_FILE ${path} can't be written: ${what}`, { cause });
  switch (codeOf(cause)) {
    case "EACCES":
      return error(`the user who runs this may not make files in ${folder}`);
    case "EROFS":
      return error(`${folder} can only be read`);
    case "EBUSY":
      return error(`it is mounted by itself, and can't be replaced: mount its folder instead`);
    case "EPERM":
      return error(`only root and its owner can put another in its place`);
    default:
      return error(messageOf(cause));
  }
}

/** The last part of a path that the system got to, links followed. */
async function lastPassed(path: string): Promise<string> {
  let at = await linkTarget(path).catch(() => resolve(path));
  while (at !== dirname(at) && !await Deno.lstat(at).then(() => true, () => false)) {
    at = dirname(at);
  }
  return at;
}

async function isLink(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(({ isSymlink }) => isSymlink, () => false);
}

const codeOf = (thrown: unknown) =>
  thrown instanceof Error && "code" in thrown ? thrown.code : undefined;

/** The system's words, without those in which Deno says what it was asked to do. */
function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message.replace(/ \(os error \d+\).*/, "") : String(cause);
}
