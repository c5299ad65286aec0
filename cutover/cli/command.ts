import {
  type CommandForm,
  parseWhole,
  textOption,
  type Typed,
  UsageError,
} from "../../command_line.ts";
import type { Environment } from "../../config.ts";
import type { CalibrateSettings, ProbeSettings } from "../config.ts";
import type { Sql } from "../../db/sql.ts";
import {
  LEGACY_OPERATIONS,
  type Operation,
  operationById,
  OPERATIONS,
} from "../exchange/operations.ts";

/** What a command has to do with. */
export interface Deps {
  readonly sql: Sql;
  readonly environment: Environment;
  /** Says how far it is, a line at a time. */
  readonly print: (line: string) => void;
  /** Is aborted when the user stops the command. */
  readonly signal: AbortSignal;
}

/** What a command has to say. */
export interface Output {
  readonly text: string;
  /** The same for a program, with `--json`. */
  readonly json: unknown;
}

/** One of the commands of `deno task cutover`; each has `--json` besides its own options. */
export interface Command extends CommandForm {
  /** It may go on for hours, and ends by itself soon after its signal. */
  readonly isLong?: boolean;
  /** Its settings, when it has more than all commands have. */
  readonly settings?: typeof ProbeSettings | typeof CalibrateSettings;
  /**
   * @throws {UsageError} when it isn't typed as `usage` says
   * @throws {RefusedError} when it can't be done as it was asked for
   */
  run(deps: Deps, typed: Typed): Promise<Output>;
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
  return name === "all" ? LEGACY_OPERATIONS : [operationNamed(name)];
}

/** A whole number within bounds, as it is typed. */
export function wholeNumber(what: string, text: unknown, bounds: [number, number]): number {
  const number = parseWhole(text, bounds);
  if (number !== undefined) return number;
  throw new UsageError(`${what} is a whole number from ${bounds.join(" to ")}`);
}

/** Lots whose codes were typed, separated by commas; undefined: none were named. */
export function lotCodesIn(typed: Typed): readonly string[] | undefined {
  return textOption(typed, "lots")?.split(",").map((code) => code.trim())
    .filter((code) => code !== "");
}
