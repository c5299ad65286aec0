import { RefusedError, UsageError } from "../../command_line.ts";
import { printable } from "../../terminal.ts";
import type { Deps } from "./command.ts";

/** The option of commands that ask before they take a risk. */
export const FORCE_OPTION = { force: { type: "boolean" } } as const;

/**
 * Asks the user to accept risks; without risks there is no question.
 *
 * @throws {UsageError} when there is nobody to ask; it names `--force`
 * @throws {RefusedError} when the user declines
 */
export function requireConsent(
  { confirm }: Pick<Deps, "confirm">,
  risks: readonly string[],
  question: string,
): void {
  if (risks.length === 0) return;
  const lines = risks.map(printable).join("\n");
  if (confirm === undefined) {
    throw new UsageError(`${lines}\nNothing was changed. To do it anyway, add --force`);
  }
  if (!confirm(`${lines}\n${question}`)) throw new RefusedError("Nothing was changed");
}
