import { dirname, resolve } from "node:path";
import { linkTarget } from "../link_target.ts";

/** A key file is unusable; the message says why and, if possible, what to do. */
export class KeyFileError extends Error {
  override name = "KeyFileError";
}

export const createCommand = (path: string) => command(path, "create");

/** A `deno task keys` command that can be pasted into a shell. */
export function command(path: string, words: string): string {
  return `JWT_KEYS_FILE=${shellWord(path)} deno task keys ${words}`;
}

export function shellWord(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}

/** @param what is wrong with the content */
export function brokenKeyFile(path: string, what: string): KeyFileError {
  const word = shellWord(path);
  return new KeyFileError(
    `JWT_KEYS_FILE ${path} ${what}: put a copy of it back, or make a new one, which ends all ` +
      `tokens: mv ${word} ${word}.broken && ${createCommand(path)}`,
  );
}

/** The error for anything but a file; undefined for a file. */
export function notAFile(path: string, info: Deno.FileInfo): KeyFileError | undefined {
  if (info.isFile) return undefined;
  if (info.isDirectory) return namesAFolder(path);
  const kind = info.isFifo ? "a pipe" : info.isSocket ? "a socket" : "a device";
  return new KeyFileError(`JWT_KEYS_FILE ${path} is ${kind}: name a file`);
}

export function namesAFolder(path: string): KeyFileError {
  return new KeyFileError(
    `JWT_KEYS_FILE ${path} is a folder: name a file in it, such as ${
      path.replace(/\/?$/, "/")
    }keys.json`,
  );
}

/** Explains a system error of reading the file. */
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
 * Explains a system error of creating or replacing the file.
 *
 * @param target the end of the path's links
 */
export function writeFailure(path: string, target: string, cause: unknown): KeyFileError {
  const folder = dirname(target);
  const reasons = new Map<unknown, string>([
    ["EACCES", `the user who runs this may not make files in ${folder}`],
    ["EROFS", `${folder} can only be read`],
    ["EBUSY", "it is mounted by itself, and can't be replaced: mount its folder instead"],
    ["EPERM", "only root and its owner can put another in its place"],
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

async function isLink(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(({ isSymlink }) => isSymlink, () => false);
}

const codeOf = (thrown: unknown) =>
  thrown instanceof Error && "code" in thrown ? thrown.code : undefined;

/** The system's message without Deno's addition. */
function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message.replace(/ \(os error \d+\).*/, "") : String(cause);
}
