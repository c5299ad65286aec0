import type { ParseArgsOptionsConfig } from "node:util";
import { z } from "zod";
import type { Environment } from "../../config.ts";
import type { Sql } from "../../db/connect.ts";
import {
  OLD_OPERATIONS,
  type Operation,
  operationById,
  OPERATIONS,
} from "../exchange/operations.ts";

/** What a command has to do with. */
export interface Deps {
  readonly sql: Sql;
  readonly environment: Environment;
  /** Says how far it is, a line at a time. */
  readonly tell: (line: string) => void;
  /** Is aborted when whoever typed it has had enough. */
  readonly signal: AbortSignal;
}

/** What was typed after the command's name. */
export interface Typed {
  readonly words: readonly string[];
  /** By name; those that the command takes. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** What a command has to say. */
export interface Said {
  readonly text: string;
  /** The same for a program, with `--json`. */
  readonly json: unknown;
}

/** One of the commands of `deno task cutover`. */
export interface Command {
  /** What is typed after its name. */
  readonly usage: string;
  readonly does: string;
  /** `--json`, which every command has, is not among them. */
  readonly options: ParseArgsOptionsConfig;
  /** It may go on for hours, and ends by itself soon after its signal. */
  readonly isLong?: boolean;
  /**
   * @throws {UsageError} when it isn't typed as `usage` says
   * @throws {RefusedError} when it can't be done as it was asked for
   */
  run(deps: Deps, typed: Typed): Promise<Said>;
}

/** The command isn't used as it is meant to be; the message, if any, says what is wrong. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** The command can't be done as it was asked for; the message says why. */
export class RefusedError extends Error {
  override name = "RefusedError";
}

/** The operation with this name. */
export function operationNamed(name: string | undefined): Operation {
  const known = operationById(name);
  if (known !== undefined) return known;
  const names = OPERATIONS.map(({ operation }) => operation).join(" ");
  throw new UsageError(`An operation is one of ${names}`);
}

/** The operation with this name, or those of the old server for `all`. */
export function operationsNamed(name: string | undefined): readonly Operation[] {
  return name === "all" ? OLD_OPERATIONS : [operationNamed(name)];
}

/** A whole number within bounds, as it is typed. */
export function wholeNumber(what: string, text: unknown, [least, most]: [number, number]): number {
  const { success, data } = z.string().regex(/^\d{1,9}$/).transform(Number)
    .pipe(z.int().min(least).max(most)).safeParse(text);
  if (success) return data;
  throw new UsageError(`${what} is a whole number from ${least} to ${most}`);
}

/** @throws {UsageError} unless there are so many words */
export function mustBeWords({ words }: Typed, least: number, most = least): void {
  if (words.length < least || words.length > most) throw new UsageError();
}
