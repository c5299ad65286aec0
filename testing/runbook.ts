import { doesNotMatch, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { delay } from "../timing.ts";
import type { LineReader } from "./lines.ts";
import { shellPrograms } from "./shell_programs.ts";
import { FROM_NPX } from "./task_output.ts";
import { ROOT } from "./task_process.ts";
import { temporaryFolder } from "./temporary_folder.ts";

/*
 * A rehearsal of a page of docs/runbooks: its commands run as they are written there. A block `sh` is
 * a command; a block `text` behind it is what the command shows.
 */

/** The headings of a runbook, in their order. */
export const PARTS = [
  "What you see",
  "What it means for clients",
  "First",
  "Find the cause",
  "Repair",
  "Check that it is over",
  "Afterwards",
] as const;

export type Part = typeof PARTS[number];

/** A block `sh` of a page. */
export interface RunbookStep {
  /** The heading that it stands under. */
  readonly part: string;
  readonly command: string;
  /** Lines that the command shows, in this order, among others; `…` is any text in a line. */
  readonly shows: readonly string[];
}

/** A running rehearsal of one page. */
export interface Rehearsal extends AsyncDisposable {
  /**
   * Runs the commands of a part in the page's order, and compares what each shows with the page.
   *
   * @param choice.having only commands with this text
   * @param choice.besides no command with this text
   * @param choice.code the exit status that they end with, 0 unless given
   * @param choice.seconds repeats a command until it shows what the page says, as a person would; a
   * deadline, for what a process notices later. Only for commands that may run twice.
   * @param choice.env further variables, such as a number that an earlier command has shown
   * @param choice.input what a person types
   * @returns what they have shown
   * @throws AssertionError with the command and its output when it differs from the page
   */
  run(
    part: Part,
    choice?: {
      readonly having?: string;
      readonly besides?: string;
      readonly code?: number;
      readonly seconds?: number;
      readonly env?: Readonly<Record<string, string>>;
      readonly input?: string;
    },
  ): Promise<string>;
  /** @throws AssertionError naming the page's commands that no `run` of this rehearsal has run */
  assertAllRan(): void;
}

/** A command costs half a second of a processor. */
const RETRY_MS = 1_000;

/** What a command of a block shows when it isn't typed right, whatever the block's exit status is. */
const WRONG_COMMAND = /command not found|unbound variable|^usage: |^Task not found/m;

/** The commands of a page, from its text. */
export function runbookSteps(page: string): RunbookStep[] {
  return page.split(/^## /m).slice(1).flatMap((section) => {
    const part = section.slice(0, section.indexOf("\n"));
    const steps: { part: string; command: string; shows: string[] }[] = [];
    // A block may stand in an item of a list.
    for (
      const [, indent = "", kind, body = ""] of section.matchAll(
        /^( *)```(sh|text)\n([^]*?)^\1```$/gm,
      )
    ) {
      const lines = body.split("\n").map((line) => line.slice(indent.length));
      if (kind === "sh") steps.push({ part, command: lines.join("\n").trim(), shows: [] });
      else steps.at(-1)?.shows.push(...lines.filter((line) => line.trim() !== ""));
    }
    return steps;
  });
}

/** The text of a page of docs/runbooks, by its name without `.md`. */
export function readRunbook(name: string): Promise<string> {
  return Deno.readTextFile(new URL(`docs/runbooks/${name}.md`, ROOT));
}

/** The first of these lines that an output lacks; each is searched for behind the one before. */
export function missingLine(shows: readonly string[], output: string): string | undefined {
  const lines = output.split("\n");
  let at = 0;
  for (const wanted of shows) {
    const pattern = new RegExp(
      // Columns are as wide as their values.
      wanted.trim().split("…").map((text) => RegExp.escape(text).replaceAll(/(?:\\x20| )+/g, " +"))
        .join(".*"),
    );
    const found = lines.findIndex((line, index) => index >= at && pattern.test(line));
    if (found < 0) return wanted;
    at = found + 1;
  }
  return undefined;
}

/**
 * Begins the rehearsal of a page.
 *
 * @param name without `.md`
 * @param options.env the variables that docs/runbooks/README.md explains, and a process's settings
 * @param options.log what `$LOG` has: the log of these processes so far
 */
export async function rehearse(
  name: string,
  { env, log = [] }: {
    readonly env: Readonly<Record<string, string>>;
    readonly log?: readonly LineReader[];
  },
): Promise<Rehearsal> {
  const steps = runbookSteps(await readRunbook(name));
  const folder = await temporaryFolder();
  const bin = await shellPrograms(folder.path);
  const ran = new Set<RunbookStep>();

  const runOnce = async (command: string, more: Readonly<Record<string, string>>, input = "") => {
    const logFile = join(folder.path, "log");
    await Deno.writeTextFile(logFile, log.flatMap(({ lines }) => lines).join("\n") + "\n");
    const process = new Deno.Command("bash", {
      args: ["-uo", "pipefail", "-c", `exec 2>&1; ${command}`],
      cwd: ROOT,
      env: {
        NO_COLOR: "1",
        PATH: `${bin}:${Deno.env.get("PATH")}`,
        LOG: logFile,
        TMPDIR: folder.path,
        ...env,
        ...more,
      },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    await new Blob([input]).stream().pipeTo(process.stdin).catch(() => {});
    const { code, stdout } = await process.output();
    return { code, output: new TextDecoder().decode(stdout).replaceAll(FROM_NPX, "deno task") };
  };

  return {
    async run(part, { having = "", besides, code = 0, seconds = 0, env: more = {}, input } = {}) {
      const chosen = steps.filter((step) =>
        step.part === part && step.command.includes(having) &&
        (besides === undefined || !step.command.includes(besides))
      );
      ok(chosen.length > 0, `${name}.md has no such command under "${part}": ${having}`);
      const outputs: string[] = [];
      for (const step of chosen) {
        ran.add(step);
        const deadline = performance.now() + seconds * 1_000;
        let shown = await runOnce(step.command, more, input);
        const differs = () => shown.code !== code || missingLine(step.shows, shown.output);
        while (differs() && performance.now() < deadline) {
          await delay(RETRY_MS);
          shown = await runOnce(step.command, more, input);
        }
        const report = `${name}.md, "${part}":\n${step.command}\n${shown.output}`;
        strictEqual(shown.code, code, report);
        doesNotMatch(shown.output, WRONG_COMMAND, report);
        const missing = missingLine(step.shows, shown.output);
        strictEqual(missing, undefined, `no line ${missing}\n${report}`);
        outputs.push(shown.output);
      }
      return outputs.join("\n");
    },
    assertAllRan() {
      const left = steps.filter((step) => !ran.has(step)).map(({ command }) => command);
      strictEqual(left.join("\n"), "", `${name}.md has commands that weren't rehearsed`);
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}
