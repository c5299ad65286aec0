import { deepStrictEqual, ok } from "node:assert/strict";
import { listMissing, listPages, listReferences } from "../contract-tests/pages.ts";

Deno.test("every file of the cutover that a page names is there, and what its own pages name", async () => {
  const ofPages = await listReferences(await listPages());
  const ofCutover = ofPages.filter(({ path }) => path.startsWith("cutover/"));
  for (const page of ["README.md", "docs/security.md", "docs/limits.md", "docs/cutover.md"]) {
    ok(ofCutover.some((one) => one.page === page), page);
  }
  const own = await listReferences(await listPages("cutover/"));
  deepStrictEqual(await listMissing([...ofCutover, ...own]), []);
});
