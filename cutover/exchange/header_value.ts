import type { HeaderLines } from "./exchange.ts";

/** The value of a header, `name` in lower case; several lines are joined by commas. */
export function headerOf(headers: HeaderLines, name: string): string | undefined {
  const values = headers.filter(([one]) => one.toLowerCase() === name).map(([, value]) => value);
  return values.length === 0 ? undefined : values.join(", ");
}
