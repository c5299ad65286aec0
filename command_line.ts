/*
 * Shared by the command-line programs for operators: usage, arguments and exit status. Exit status:
 * 0 done; 1 refused or failed; 2 wrong usage or settings missing.
 */

import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { ConfigError } from "./config.ts";
import { answerHelp, pasteable, type TaskHelp } from "./task_help.ts";
import { problemSentence, sentenceOf } from "./terminal.ts";

/** The arguments after a command's name. */
export interface Typed {
  readonly words: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
}

export interface CommandForm {
  readonly usage: string;
  readonly does: string;
  /** The number of words that it takes; none by default. */
  readonly words?: readonly [min: number, max: number];
  readonly options?: ParseArgsOptionsConfig;
}

export interface Program<C extends CommandForm> {
  /** Its start, such as `DATABASE_URL=… deno task jobs`. */
  readonly start: string;
  /** By name. `record --live` is the variant of `record` for that option. */
  readonly commands: Readonly<Record<string, C>>;
  readonly options?: ParseArgsOptionsConfig;
  readonly notes?: string;
}

/** The arguments are wrong; the message, if any, says how. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** The command is refused; the message says why. */
export class RefusedError extends Error {
  override name = "RefusedError";
}

export function usageOf({ start, commands, options = {}, notes }: Program<CommandForm>): string {
  const common = Object.keys(options).map((name) => ` [--${name}]`).join("");
  const lines = Object.entries(commands).map(([name, { usage, does }]) =>
    `  ${`${name.split(" ")[0]} ${usage}`.trim()}\n      ${does}`
  );
  return [`usage: ${start} <command>${common}`, ...lines, ...(notes === undefined ? [] : [notes])]
    .join("\n");
}

/** @throws {UsageError} */
export function readCommand<C extends CommandForm>(
  { commands, options: common = {} }: Program<C>,
  args: readonly string[],
): { readonly command: C; readonly typed: Typed } {
  const all = Object.values(commands).map(({ options }) => options ?? {});
  const { values, positionals: [word = "", ...words] } = parsed(args, [common, ...all]);
  const variant = Object.keys(values).map((option) => `${word} --${option}`)
    .find((name) => Object.hasOwn(commands, name));
  const name = variant ?? word;
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) throw new UsageError();
  for (const option of Object.keys(values)) {
    if (option in common || option in (command.options ?? {})) continue;
    throw new UsageError(`${name} takes no --${option}`, { cause: MISTYPED });
  }
  const [min, max] = command.words ?? [0, 0];
  if (words.length < min || words.length > max) throw new UsageError();
  return { command, typed: { words, options: values } };
}

function parsed(args: readonly string[], options: readonly ParseArgsOptionsConfig[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: Object.assign({}, ...options),
    });
  } catch (error) {
    throw new UsageError(sentenceOf(error), { cause: MISTYPED });
  }
}

/** The cause of a {@link UsageError} after which the usage is shown too. */
const MISTYPED = "mistyped";

export function textOption({ options }: Typed, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}

/** A whole number within bounds; undefined when the text is none. */
export function parseWhole(text: unknown, [min, max]: readonly [number, number]) {
  const number = typeof text === "string" && /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  return number >= min && number <= max ? number : undefined;
}

/** How a program reports errors, and what its help tells. */
export interface Ending extends TaskHelp {
  /** Further errors whose message is a sentence for the operator. */
  readonly told?: readonly (abstract new (...args: never[]) => Error)[];
  /** The setting with the database's address; DATABASE_URL by default. */
  readonly setting?: () => string | undefined;
  /** Exit status when the work is refused or fails; 1 by default. */
  readonly failed?: number;
  /** Exit status for wrong usage or missing settings; 2 by default. */
  readonly misused?: number;
}

/** Runs the work or answers `--help`, reports its error, and ends the process with the exit status. */
export async function runMain(
  ending: Ending,
  work: () => Promise<number | void>,
): Promise<never> {
  answerHelp(ending);
  try {
    return Deno.exit(await work() ?? 0);
  } catch (error) {
    console.error(pasteable(complaintOf(error, ending)));
    const isMisused = error instanceof UsageError || error instanceof ConfigError;
    return Deno.exit(isMisused ? ending.misused ?? 2 : ending.failed ?? 1);
  }
}

function complaintOf(
  error: unknown,
  { usage = "", told = [], setting }: Ending,
): string {
  if (error instanceof UsageError) {
    if (error.message === "") return usage;
    return error.cause === MISTYPED ? `${usage}\n\n${error.message}` : error.message;
  }
  const hasSentence = [ConfigError, RefusedError, ...told].some((one) => error instanceof one);
  if (hasSentence && error instanceof Error) return error.message;
  return problemSentence(error, setting?.()) ?? `Not done: ${sentenceOf(error)}`;
}
