/**
 * `deno task doctor`: what is wrong with the settings, PostgreSQL, Valkey and the background work, and
 * what to do. It changes nothing.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { runMain, UsageError } from "../command_line.ts";
import { sentenceOf } from "../terminal.ts";
import { pasteable } from "../task_help.ts";
import { jsonOf, type Shown, textOf } from "./report.ts";
import { runChecks } from "./run_checks.ts";
import { DOCTOR_SETTINGS } from "./settings.ts";

const USAGE = "usage: deno task doctor [--json]";

await runMain({
  task: "doctor",
  usage: USAGE,
  settings: DOCTOR_SETTINGS,
  exit: "0 nothing has failed; 1 something has; 2 wrong usage",
}, async () => {
  const isJson = readArguments(Deno.args);
  const findings = (await runChecks(Deno.env.toObject())).map((finding) => ({
    ...finding,
    ...(finding.todo !== undefined && { todo: pasteable(finding.todo) }),
  }));
  console.log(isJson ? jsonOf(findings) : textOf(findings, terminal()));
  return findings.some(({ level }) => level === "failure") ? 1 : 0;
});

/** Whether the output is JSON. @throws {UsageError} */
function readArguments(args: readonly string[]): boolean {
  try {
    const { values } = parseArgs({ args: [...args], options: { json: { type: "boolean" } } });
    return values.json ?? false;
  } catch (error) {
    throw new UsageError(`${USAGE}\n\n${sentenceOf(error)}`);
  }
}

/** Colours and width, unless the output goes elsewhere. */
function terminal(): Shown {
  if (!Deno.stdout.isTerminal()) return {};
  return { width: Deno.consoleSize().columns, hasColors: !Deno.noColor };
}
