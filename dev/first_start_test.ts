import { deepStrictEqual, ok } from "node:assert/strict";
import project from "../deno.json" with { type: "json" };

// Deno shows a warning box for a package with install scripts that it neither ran nor was told to
// leave out, and advises a setting that Lotline must not have. A prerelease needs its version.
Deno.test("no package's install script is run, and none makes the first start warn", async () => {
  const lock = JSON.parse(await Deno.readTextFile(new URL("../deno.lock", import.meta.url)));
  const withScripts = Object.entries<{ scripts?: boolean }>(lock.npm)
    .filter(([, { scripts }]) => scripts).map(([name]) => `npm:${name}`);
  ok(withScripts.length > 0);
  const { allow, deny } = project.allowScripts;
  deepStrictEqual([allow, [...deny].sort()], [[], withScripts.sort()]);
});
