import { ConfigError, readSettings } from "../config.ts";
import { KeysSettings } from "./config.ts";
import { KeyFileError } from "./key_file_error.ts";
import { createKeyFile, pruneKeys, rotateKeys } from "./keys.ts";

const USAGE = `usage: JWT_KEYS_FILE=path deno task keys <command>
  create [--if-missing]  makes the file with one signing key
  rotate [--in MINUTES]  adds a key that signs from now, or then, on; the others go on verifying
  prune [--now]          drops keys whose tokens have all expired; --now: all but the signing key`;

/** What each command does; each takes one option, a flag unless its form is said. */
const COMMANDS: Record<string, { option: string; value?: RegExp; run: Run }> = {
  create: { option: "--if-missing", run: create },
  rotate: { option: "--in", value: /^\d{1,4}$/, run: rotate },
  prune: { option: "--now", run: prune },
};
/** @param option whether it was given, or its value */
type Run = (path: string, option: string | undefined) => Promise<void>;

const [name = "", option, value, ...rest] = Deno.args;
const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
if (command === undefined || !isRight(command)) {
  console.error(USAGE);
  Deno.exit(2);
}
try {
  const { JWT_KEYS_FILE: path } = readSettings(KeysSettings, Deno.env.toObject());
  await command.run(path, value ?? option);
} catch (error) {
  if (!(error instanceof ConfigError || error instanceof KeyFileError)) throw error;
  console.error(error.message);
  Deno.exit(error instanceof ConfigError ? 2 : 1);
}

function isRight(command: { option: string; value?: RegExp }): boolean {
  if (option === undefined) return true;
  if (option !== command.option || rest.length > 0) return false;
  return command.value?.test(value ?? "") ?? value === undefined;
}

async function create(path: string, mayExist: string | undefined): Promise<void> {
  try {
    await createKeyFile(path);
    console.log(`made ${path} with one signing key`);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    if (mayExist) return;
    console.error(`${path} exists already and stays as it is`);
    Deno.exitCode = 1;
  }
}

async function rotate(path: string, minutes = "0"): Promise<void> {
  const count = await rotateKeys(path, new Date(Date.now() + Number(minutes) * 60_000));
  const when = minutes === "0" ? "now on" : `${minutes} minutes from now on`;
  console.log(`a new key signs from ${when}; ${count} keys verify`);
}

async function prune(path: string, now: string | undefined): Promise<void> {
  const { dropped, left } = await pruneKeys(path, { evenNeeded: now !== undefined });
  console.log(`dropped ${dropped} keys, ${left} left`);
}
