import { userInfo } from "node:os";
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
import { timed } from "../../db/query_deadline.ts";
import { type Note, NoteForm } from "../routes/routing.ts";
import {
  LEGACY_OPERATIONS,
  type Operation,
  operationById,
  OPERATIONS,
} from "../exchange/operations.ts";

const MAX_LOTS = 1_000;

export interface Deps {
  readonly sql: Sql;
  readonly environment: Environment;
  /** Reports progress, a line at a time. */
  readonly print: (line: string) => void;
  /** Aborted when the user stops the command. */
  readonly signal: AbortSignal;
  /** Asks the user a question; absent without a terminal, and with `--json`. */
  readonly confirm?: (question: string) => boolean;
}

export interface Output {
  readonly text: string;
  /** The same for a program, with `--json`. */
  readonly json: unknown;
}

/** One of the commands of `deno task cutover`; each has `--json` besides its own options. */
export interface Command extends CommandForm {
  /** It may run for hours, and ends soon after its signal. */
  readonly isLong?: boolean;
  /** Its settings, when it has more than the other commands. */
  readonly settings?: typeof ProbeSettings | typeof CalibrateSettings;
  /**
   * @throws {UsageError} when it isn't typed as `usage` says
   * @throws {RefusedError} when it can't be done
   */
  run(deps: Deps, typed: Typed): Promise<Output>;
}

/** The options of a command that changes something. */
export const NOTE_OPTIONS = { why: { type: "string" }, who: { type: "string" } } as const;

export const NOTE_USAGE = "--why TEXT [--who NAME]";

/** Who makes the change and why; without `--who` it is the user of this machine. */
export function noteIn({ options }: Typed): Note {
  if (options.why === undefined) {
    throw new UsageError("Say why with --why: the record of the migration keeps it");
  }
  const who = options.who ?? machineUser();
  if (who === undefined) throw new UsageError("Say who you are with --who");
  const { success, data } = NoteForm.safeParse({ who, why: options.why });
  if (success) return data;
  throw new UsageError("--why takes 1 to 500 characters, --who 1 to 100");
}

function machineUser(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    // Not permitted, or a container's user without a name.
    return undefined;
  }
}

/** A command that changes something, so that it takes a note besides its own options. */
export function changeCommand(
  { usage, run, options, ...command }: Pick<Command, "usage" | "does" | "words" | "options"> & {
    run(deps: Deps & { readonly note: Note }, typed: Typed): Promise<Output>;
  },
): Command {
  return {
    ...command,
    usage: `${usage} ${NOTE_USAGE}`.trim(),
    options: { ...NOTE_OPTIONS, ...options },
    run: (deps, typed) => run({ ...deps, note: noteIn(typed) }, typed),
  };
}

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

/** Lots for requests that find one: those of `--lots`, separated by commas, or the newest. */
export async function lotCodesFor(sql: Sql, typed: Typed): Promise<readonly string[]> {
  const codes = textOption(typed, "lots")?.split(",").map((code) => code.trim());
  if (codes !== undefined) return codes.filter((code) => code !== "");
  const rows = await timed(sql)<{ lot_code: string }[]>`
    select lot_code from lots order by created_at desc nulls last limit ${MAX_LOTS}`;
  return rows.map(({ lot_code }) => lot_code);
}
