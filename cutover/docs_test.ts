import { deepStrictEqual, ok } from "node:assert/strict";
import { listMissing, listPages, listReferences, readPage } from "../contract-tests/pages.ts";
import { runbookRows } from "../contract-tests/runbook_pages.ts";
import { listMissingTests, shownTestsOf } from "../contract-tests/shown_tests.ts";

Deno.test("every file of the cutover that a page names is there, and what its own pages name", async () => {
  const ofPages = await listReferences(await listPages());
  const ofCutover = ofPages.filter(({ path }) => path.startsWith("cutover/"));
  for (const page of ["README.md", "docs/security.md", "docs/limits.md", "docs/cutover.md"]) {
    ok(ofCutover.some((one) => one.page === page), page);
  }
  const own = await listReferences(await listPages("cutover/"));
  deepStrictEqual(await listMissing([...ofCutover, ...own]), []);
});

Deno.test("each surrounding of the cutover is shown by a test that is there", async () => {
  const shown = shownTestsOf(await readPage("docs/managed-postgres.md"))
    .filter(({ file }) => file.startsWith("cutover/"));
  ok(shown.length >= 4, `${shown.length} rows`);
  deepStrictEqual(await listMissingTests(shown), []);
});

Deno.test("each runbook of the cutover is rehearsed by a test that is there", async () => {
  const tests = runbookRows(await readPage("docs/runbooks/README.md")).flatMap(({ tests }) => tests)
    .filter(({ file }) => file.startsWith("cutover/"));
  ok(tests.length >= 3, `${tests.length} tests`);
  deepStrictEqual(await listMissingTests(tests), []);
});
