import type { ShownTest } from "./shown_tests.ts";

/** A row of the table in docs/runbooks/README.md. */
interface RunbookRow {
  /** The page's name, without `.md`. */
  readonly page: string;
  /** The tests that rehearse it; empty: the row names none. */
  readonly tests: readonly ShownTest[];
}

const FOLDER = new URL("../docs/runbooks/", import.meta.url);

/** The names of all runbooks, without `.md`, sorted; the folder's README is none. */
export async function listRunbooks(): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(FOLDER)) {
    if (name.endsWith(".md") && name !== "README.md") names.push(name.slice(0, -".md".length));
  }
  return names.sort();
}

/** The rows of the table; the last cell has tests as `` `file`: "part of the name" ``. */
export function runbookRows(readme: string): RunbookRow[] {
  return [...readme.matchAll(/^\| \[([\w-]+)\.md\]\(\1\.md\) .*\|([^|]*)\|$/gm)]
    .map(([, page = "", cell = ""]) => ({
      page,
      tests: [...cell.matchAll(/`([\w./]+_test\.ts)`: "([^"]+)"/g)]
        .map(([, file = "", name = ""]) => ({ file, name })),
    }));
}

/** The variables in capitals that a command reads and doesn't set. */
export function variablesIn(command: string): string[] {
  const isSet = (name: string) => new RegExp(`(?:^|[\\s;])${name}=`).test(command);
  return [...new Set([...command.matchAll(/\$\{?([A-Z][A-Z_]*)/g)].map(([, name = ""]) => name))]
    .filter((name) => !isSet(name));
}
