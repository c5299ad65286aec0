/*
 * What the programs for an operator at a terminal have in common: how they are used, what was typed,
 * and how they end. Exit status: 0 done; 1 refused or failed; 2 not used as meant, or settings missing.
 */

import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { ConfigError } from "./config.ts";
import { sentenceOf } from "./terminal.ts";

/** What was typed after a command's name. */
export interface Typed {
  readonly words: readonly string[];
  /** By name; those that the command takes. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** How a command is typed. */
export interface CommandForm {
  /** What is typed after its name. */
  readonly usage: string;
  readonly does: string;
  /** How many words it takes, at least and at most; none unless it says so. */
  readonly words?: readonly [min: number, max: number];
  readonly options?: ParseArgsOptionsConfig;
}

/** A program of several commands. */
export interface Program<C extends CommandForm> {
  /** How it is started, such as `DATABASE_URL=… deno task jobs`. */
  readonly start: string;
  /** By name; one named `record --live` is what `record` means with that option. */
  readonly commands: Readonly<Record<string, C>>;
  /** Options that every command has. */
  readonly options?: ParseArgsOptionsConfig;
  /** Lines that stand below the commands. */
  readonly notes?: string;
}

/** The program isn't used as it is meant to be; the message, if any, says what is wrong. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** The command can't be done as it was asked for; the message says why. */
export class RefusedError extends Error {
  override name = "RefusedError";
}

/** How a program is used. */
export function usageOf({ start, commands, options = {}, notes }: Program<CommandForm>): string {
  const common = Object.keys(options).map((name) => ` [--${name}]`).join("");
  // The option that makes a variant stands in its usage.
  const lines = Object.entries(commands).map(([name, { usage, does }]) =>
    `  ${`${name.split(" ")[0]} ${usage}`.trim()}\n      ${does}`
  );
  return [`usage: ${start} <command>${common}`, ...lines, ...(notes === undefined ? [] : [notes])]
    .join("\n");
}

/** The command that was typed. @throws {UsageError} */
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

/** Why the usage is shown besides what is wrong: a word or an option isn't one. */
const MISTYPED = "mistyped";

/** The value of an option that takes one. */
export function textOption({ options }: Typed, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}

/** A whole number within bounds, as it is typed; undefined: the text is none. */
export function parseWhole(text: unknown, [min, max]: readonly [number, number]) {
  const number = typeof text === "string" && /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  return number >= min && number <= max ? number : undefined;
}

/** How a program tells that something went wrong. */
export interface Ending {
  /** Shown when it isn't used as it is meant to be. */
  readonly usage?: string;
  /** Errors whose message is a sentence for the operator, besides those above. */
  readonly told?: readonly (abstract new (...args: never[]) => Error)[];
  /** Its own sentence for an error, if it has one. */
  readonly sentenceFor?: (error: unknown) => string | undefined;
  /** Exit status when the work is refused or fails; 1 unless given. */
  readonly failed?: number;
  /** Exit status when it isn't used as meant or settings are missing; 2 unless given. */
  readonly misused?: number;
}

/** Does a program's work, says what went wrong, and ends the process with its exit status. */
export async function runMain(
  ending: Ending,
  work: () => Promise<number | void>,
): Promise<never> {
  try {
    return Deno.exit(await work() ?? 0);
  } catch (error) {
    console.error(complaintOf(error, ending));
    const isMisused = error instanceof UsageError || error instanceof ConfigError;
    return Deno.exit(isMisused ? ending.misused ?? 2 : ending.failed ?? 1);
  }
}

function complaintOf(
  error: unknown,
  { usage = "", told: notified = [], sentenceFor }: Ending,
): string {
  if (error instanceof UsageError) {
    if (error.message === "") return usage;
    return error.cause === MISTYPED ? `${usage}\n\n${error.message}` : error.message;
  }
  const sentence = sentenceFor?.(error);
  if (sentence !== undefined) return sentence;
  const isTold = [ConfigError, RefusedError, ...notified].some((one) => error instanceof one);
  return isTold && error instanceof Error ? error.message : `Not done: ${sentenceOf(error)}`;
}
