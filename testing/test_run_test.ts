import { ok, strictEqual } from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";

Deno.test("the end of a run says again which tests failed, and why", async () => {
  const folder = await Deno.makeTempDir({ prefix: "lotline-test-" });
  try {
    const file = `${folder}/broken_test.ts`;
    await Deno.writeTextFile(
      file,
      `Deno.test("broken one", () => { throw new Error("a reason"); });
      Deno.test("fine one", () => {});
      Deno.test("broken two", () => { throw new Error("another reason"); });`,
    );
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "testing/run.ts", "--no-check", file],
      stderr: "null",
    }).output();
    const text = stripVTControlCharacters(new TextDecoder().decode(stdout));
    const end = text.slice(text.indexOf("What failed:"));
    strictEqual(code, 1);
    for (const said of ["broken one", "a reason", "broken two", "another reason"]) {
      ok(end.includes(said), end);
    }
    ok(!end.includes("fine one"), end);
    ok(/\nall \| 1 passed \| 2 failed \([\d.]+ minutes\)\n$/.test(end), end);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
