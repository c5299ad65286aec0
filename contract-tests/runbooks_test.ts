import { deepStrictEqual, ok } from "node:assert/strict";
import { PARTS, runbookSteps } from "../testing/runbook.ts";
import { readPage } from "./pages.ts";
import { listRunbooks, runbookRows, variablesIn } from "./runbook_pages.ts";
import { listMissingTests } from "./shown_tests.ts";

const README = await readPage("docs/runbooks/README.md");
const PAGES = await listRunbooks();

/** What somebody reads at night, in lines that aren't empty: one and a half screens. */
const MAX_LINES = 95;

Deno.test("each runbook has the seven parts in their order, and is short", async () => {
  ok(PAGES.length >= 8, PAGES.join());
  for (const name of PAGES) {
    const text = await readPage(`docs/runbooks/${name}.md`);
    const headings = [...text.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
    deepStrictEqual(headings, [...PARTS], name);
    const lines = text.split("\n").filter((line) => line.trim() !== "");
    ok(lines.length <= MAX_LINES, `${name} has ${lines.length} lines`);
  }
});

Deno.test("the table of runbooks has each page once, with its rehearsal", async () => {
  const rows = runbookRows(README);
  deepStrictEqual(rows.map(({ page }) => page).sort(), PAGES);
  deepStrictEqual(rows.filter(({ tests }) => tests.length === 0).map(({ page }) => page), []);
  const ofService = rows.flatMap(({ tests }) => tests)
    .filter(({ file }) => !file.startsWith("cutover/"));
  deepStrictEqual(await listMissingTests(ofService), []);
});

Deno.test("each variable in a runbook's commands is explained, is a setting, or is set by them", async () => {
  const explained = [...README.matchAll(/^\| `\$([A-Z_]+)`/gm)].map(([, name = ""]) => name);
  ok(explained.includes("OPERATION"), explained.join());
  const settings = await readPage("docs/runbooks/README.md")
    .then((text) => [...text.matchAll(/`([A-Z_]{6,})`/g)].map(([, name = ""]) => name));
  const unknown: string[] = [];
  for (const name of PAGES) {
    for (const { command } of runbookSteps(await readPage(`docs/runbooks/${name}.md`))) {
      const known = [...explained, ...settings];
      unknown.push(...variablesIn(command).filter((one) => !known.includes(one)));
    }
  }
  deepStrictEqual(unknown, []);
});

Deno.test("a row without a test, and a variable that nothing sets, are found", () => {
  const rows = runbookRows(
    '| [a.md](a.md) | x | y | `faults/a_test.ts`: "a" and `b_test.ts`: "b" |\n| [b.md](b.md) | x | y | by hand |\n',
  );
  deepStrictEqual(rows, [
    {
      page: "a",
      tests: [{ file: "faults/a_test.ts", name: "a" }, { file: "b_test.ts", name: "b" }],
    },
    { page: "b", tests: [] },
  ]);
  const command = 'OUT=$(mktemp -d); a "$OUT" "$API/x" ${LOG} $1; for id in $IDS; do b $id; done';
  deepStrictEqual(variablesIn(command), ["API", "LOG", "IDS"]);
});
