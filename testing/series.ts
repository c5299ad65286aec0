import { match } from "node:assert/strict";

/** The values of a text in Prometheus' format, by name and labels. */
export function valuesOf(text: string): Record<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(lines.map((line) => {
    match(line, /^\w+(\{[^}]*\})? \S+$/);
    const end = line.lastIndexOf(" ");
    return [line.slice(0, end), Number(line.slice(end + 1))];
  }));
}

/** Those of one series. */
export const named = (values: Record<string, number>, name: string) =>
  Object.fromEntries(Object.entries(values).filter(([key]) => key.split("{")[0] === name));
