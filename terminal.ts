import { problemOf } from "./db/problems.ts";

/** A text table; control characters are replaced. */
export function columns(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows.map((row) => row.map(printable))];
  const widths = head.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  return lines.map((line) =>
    line.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("  ").trimEnd()
  ).join("\n");
}

/**
 * Replaces control characters, which could steer the terminal: the text comes from the database.
 */
export function printable(text: string): string {
  return text.replaceAll(/\p{C}/gu, "?");
}

export function sentenceOf(error: unknown): string {
  return problemSentence(error) ?? (error instanceof Error ? error.message : String(error));
}

/**
 * The problem of the database that an error shows, with what to do and the cause, in one line.
 *
 * @param setting the one with the database's address
 */
export function problemSentence(error: unknown, setting = "DATABASE_URL"): string | undefined {
  const problem = problemOf(error);
  if (problem === undefined || !(error instanceof Error)) return undefined;
  const cause = error.message === "" ? "" : ` (${printable(error.message)})`;
  const todo = problem.todo.replace("DATABASE_URL", setting);
  return `${problem.sentence}: ${todo}${cause}`;
}
