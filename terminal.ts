import { isMissingTable } from "./db/pg_errors.ts";

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
  if (!(error instanceof Error)) return String(error);
  return isMissingTable(error)
    ? "the database lacks a table: run deno task migrate first"
    : error.message;
}
