import { readPage } from "./pages.ts";

/** A test that a table of the docs names, such as "How each is tested" of docs/managed-postgres.md. */
export interface ShownTest {
  readonly file: string;
  /** A part of the test's name; … stands for any text. */
  readonly name: string;
}

/** The tests that the last cells of the table's rows name. */
export function shownTestsOf(page: string): ShownTest[] {
  const [, table = ""] = page.split("## How each is tested");
  const rows = table.split("\n").filter((line) => line.startsWith("| ")).slice(2);
  return rows.map((row) => {
    const [, file = "", name = ""] = /\| `([\w./]+_test\.ts)`: "([^"]+)" +\|$/.exec(row) ?? [];
    return { file, name: name || row };
  });
}

/** Those that aren't there. */
export async function listMissingTests(tests: readonly ShownTest[]): Promise<ShownTest[]> {
  const missing: ShownTest[] = [];
  for (const test of tests) {
    if (test.file === "" || !hasTest(await readPage(test.file), test.name)) missing.push(test);
  }
  return missing;
}

export function hasTest(source: string, name: string): boolean {
  const parts = name.split("…").map((part) => RegExp.escape(part));
  const pattern = new RegExp(parts.join("[^]*"));
  return [...source.matchAll(/\bDeno\.test\(\s*(["`])([^]*?)\1/g)]
    .some(([, , title = ""]) => pattern.test(title));
}
