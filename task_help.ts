/*
 * `--help` of every task, and commands as they can be pasted into a terminal.
 */

import { z } from "zod";
import project from "./deno.json" with { type: "json" };
import { fileSettingOf } from "./secret_files.ts";

const TASKS: Readonly<Record<string, { readonly description?: string }>> = project.tasks;

/** What the help of a task tells. */
export interface TaskHelp {
  /** Its name in deno.json. */
  readonly task?: string;
  /** Its arguments, such as `[--json]`; none by default. */
  readonly args?: string;
  /** The lines with its arguments, in place of `args`. */
  readonly usage?: string;
  /** More about the arguments. */
  readonly notes?: string;
  /** What it reads from the environment. */
  readonly settings?: readonly z.ZodObject[];
  /** What its exit status means; by default 0 after success and 1 after a failure. */
  readonly exit?: string;
}

/**
 * Prints the help of a task and ends the process, when the arguments are `--help`, `-h` or `help`.
 */
export function answerHelp(help: TaskHelp, args: readonly string[] = Deno.args): void {
  if (!wantsHelp(args)) return;
  console.log(pasteable(helpText(help)));
  Deno.exit(0);
}

/** What stands behind `--` is no option. */
export function wantsHelp(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  const options = end < 0 ? args : args.slice(0, end);
  return options.includes("--help") || options.includes("-h") || args[0] === "help";
}

export function helpText({ task, args, usage, notes, settings, exit }: TaskHelp): string {
  const description = task === undefined ? undefined : TASKS[task]?.description;
  const lines = usage ?? `usage: deno task ${[task, args].filter(Boolean).join(" ")}`;
  return [
    description,
    notes === undefined ? lines : `${lines}\n${notes}`,
    settings && settingsText(settings),
    task && `Exit status: ${exit ?? "0 done; 1 failed"}`,
  ].filter(Boolean).join("\n\n");
}

function settingsText(schemas: readonly z.ZodObject[]): string {
  const fields = new Map(schemas.flatMap(({ shape }) => Object.entries(shape)));
  const rows = [...fields].flatMap(([name, field]) => {
    const { description = "", secret } = z.globalRegistry.get(field) ?? {};
    const { data } = field.safeParse(undefined);
    const byDefault = typeof data === "string" || typeof data === "number" ? ` (${data})` : "";
    const row = [name, `${description}${byDefault}`];
    return secret === true ? [row, [fileSettingOf(name), `a file with ${name}, instead`]] : [row];
  });
  const width = Math.max(...rows.map(([name = ""]) => name.length));
  const lines = rows.map(([name = "", text]) => `  ${name.padEnd(width)}  ${text}`);
  return ["Settings, from the environment:", ...lines].join("\n");
}

/** Whether this process was started by `npx`, so that there may be no `deno` on the PATH. */
const isFromNpx = /[\\/]_npx[\\/]/.test(Deno.execPath());

const TASK = isFromNpx ? `npx -y deno@${Deno.version.deno} task ` : "deno task ";

/** The text with its commands as this machine can run them. */
export function pasteable(text: string): string {
  return text.replaceAll("deno task ", TASK);
}
