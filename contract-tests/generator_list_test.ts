import { deepStrictEqual, ok } from "node:assert/strict";
import { GENERATORS } from "./generators/list.ts";
import { readPage } from "./pages.ts";

const FOLDER = new URL("./generators/", import.meta.url);
const PAGE = await readPage("docs/clients.md");

Deno.test("every generator that has a folder is in the list", async () => {
  const folders: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(FOLDER)) {
    if (!isDirectory) continue;
    const module = new URL(`${name}/generator.ts`, FOLDER);
    if (await Deno.stat(module).then(() => true, () => false)) folders.push(name);
  }
  deepStrictEqual(GENERATORS.map(({ name }) => name).sort(), folders.sort());
});

Deno.test("docs/clients.md has each generator with its version and its document", () => {
  const rows = PAGE.split("\n").filter((line) => line.startsWith("|"))
    .map((line) => line.split("|").map((cell) => cell.trim().replaceAll("`", "")));
  for (const { name, version, document } of GENERATORS) {
    const [, , shownVersion, shownDocument] = rows.find((cells) => cells[1] === name) ?? [];
    deepStrictEqual([name, shownVersion, shownDocument], [name, version, document]);
  }
});

Deno.test("a generator compiles and runs its client, or says why not", () => {
  for (const { name, compile, run, generatedOnly } of GENERATORS) {
    const isRun = compile !== undefined && run !== undefined;
    ok(isRun === (generatedOnly === undefined), name);
  }
});
