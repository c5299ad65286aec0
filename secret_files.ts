/**
 * Secrets in files: each setting that is marked as secret can be given as the path of a file, as
 * Docker, Kubernetes and systemd hand secrets over. `DATABASE_URL_FILE=/run/secrets/database_url`
 * takes the place of `DATABASE_URL=…`.
 *
 * @module
 */
import { z } from "zod";
import { shellWord } from "./shell_word.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Far more than the longest address needs. */
const MAX_BYTES = 65_536;

/** Rights of users who are neither the file's owner nor in its group. */
const OF_OTHERS = 0o007;

/** The setting that takes the path of a file with a secret setting's value. */
export const fileSettingOf = (name: string): string => `${name}_FILE`;

/** The settings of a schema whose `.meta` has `secret: true`. */
export function secretNames(schema: z.ZodObject): readonly string[] {
  return Object.entries(schema.shape)
    .filter(([, field]) => z.globalRegistry.get(field)?.secret === true)
    .map(([name]) => name);
}

/** The setting's name in the last release, empty when it was the same. */
function oldNameOf(schema: z.ZodObject, name: string): string {
  const field = schema.shape[name];
  return String((field && z.globalRegistry.get(field)?.formerly) ?? "");
}

/** Whether other users than the file's owner and its group have any right on it. */
export function isOpenToOthers({ mode }: Deno.FileInfo): boolean {
  // Windows has no mode.
  return mode !== null && (mode & OF_OTHERS) !== 0;
}

/** What is wrong with such a file, and the command that corrects it. */
export function openToOthers(path: string): string {
  return `can be read by others: chmod o= ${shellWord(path)}`;
}

/** The secrets that files hold. */
export interface SecretsOfFiles {
  /** The environment with each secret in its setting, in place of the file's path. */
  readonly environment: Environment;
  /** The file that a setting's value comes from, by the setting. */
  readonly files: ReadonlyMap<string, string>;
  /** A sentence by the setting, never with the content of a file. */
  readonly mistakes: ReadonlyMap<string, string>;
}

/**
 * Reads the files that take the place of a schema's secret settings. An empty setting counts as not
 * set. A secret that is set by itself as well, or whose file can't be used, is a mistake.
 */
export function readSecretFiles(schema: z.ZodObject, environment: Environment): SecretsOfFiles {
  const found: Record<string, string | undefined> = { ...environment };
  const files = new Map<string, string>();
  const mistakes = new Map<string, string>();
  for (const name of secretNames(schema)) {
    const setting = fileSettingOf(name);
    const path = environment[setting] || undefined;
    delete found[setting];
    if (path === undefined) continue;
    const other = [name, oldNameOf(schema, name)].find((one) => Boolean(environment[one]));
    if (other !== undefined) {
      mistakes.set(name, `${other} and ${setting} are both set: set one of them`);
      continue;
    }
    try {
      found[name] = readSecret(path);
      files.set(name, path);
    } catch (error) {
      mistakes.set(name, `${setting} is invalid: ${path} ${problemOf(error, path)}`);
    }
  }
  return { environment: found, files, mistakes };
}

/** The file can't be used; the message completes a sentence that begins with its path. */
class UnusableFile extends Error {}

/** @throws the reason why the file can't be used */
function readSecret(path: string): string {
  // Before it is opened: opening a pipe would wait for a writer.
  checkFile(Deno.statSync(path), path);
  using file = Deno.openSync(path);
  // A mounted secret is swapped at any moment: what counts is the file that is read.
  checkFile(file.statSync(), path);
  return textOf(readUpTo(file, MAX_BYTES));
}

function checkFile(info: Deno.FileInfo, path: string): void {
  if (info.isDirectory) throw new UnusableFile("is a folder: name a file");
  if (!info.isFile) throw new UnusableFile("is no regular file: name one");
  if (isOpenToOthers(info)) throw new UnusableFile(openToOthers(path));
}

/** @throws {UnusableFile} it has more bytes */
function readUpTo(file: Deno.FsFile, max: number): Uint8Array {
  const buffer = new Uint8Array(max + 1);
  let length = 0;
  for (;;) {
    const read = length > max ? null : file.readSync(buffer.subarray(length));
    if (read === null) break;
    length += read;
  }
  if (length > max) throw new UnusableFile(`has more than ${max} bytes`);
  return buffer.subarray(0, length);
}

/** The line that the bytes are, without its end. */
function textOf(bytes: Uint8Array): string {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new UnusableFile("holds no text in UTF-8");
  }
  const line = text.endsWith("\n") ? text.slice(0, text.endsWith("\r\n") ? -2 : -1) : text;
  if (line === "") throw new UnusableFile("is empty");
  if (Array.from(line).some(isControl)) {
    throw new UnusableFile("holds more than one line, or characters that are no text");
  }
  return line;
}

const isControl = (character: string) => character < " " || character === "\x7f";

function problemOf(error: unknown, path: string): string {
  if (error instanceof UnusableFile) return error.message;
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "ENOENT":
      return "isn't there";
    case "EACCES":
      return `can't be read by the user who runs this${ownerOf(path)}`;
    default:
      // The system's message has nothing of the content.
      return `can't be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Whose the file is: mounted secrets often have another owner or group than meant. */
function ownerOf(path: string): string {
  try {
    const { uid, gid, mode } = Deno.statSync(path);
    const rights = ((mode ?? 0) & 0o777).toString(8).padStart(4, "0");
    return `: it belongs to user ${uid} and group ${gid}, and has mode ${rights}`;
  } catch {
    return "";
  }
}
