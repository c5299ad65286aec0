import { deepStrictEqual, match } from "node:assert/strict";
import { readBuild } from "./build.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";

/** A folder with these files. */
async function folderWith(files: Record<string, string>) {
  const path = await Deno.makeTempDir();
  for (const [name, text] of Object.entries(files)) {
    const file = `${path}/${name}`;
    await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(file, text);
  }
  return {
    url: new URL(`file://${path}/`),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

const CONTRACT = "openapi: 3.1.0\ninfo:\n  title: Lotline\n  version: 1.2.3\n";

const CLONES: [what: string, files: Record<string, string>, commit: string | undefined][] = [
  ["a branch", { ".git/HEAD": "ref: refs/heads/a\n", ".git/refs/heads/a": `${COMMIT}\n` }, COMMIT],
  ["a commit", { ".git/HEAD": `${COMMIT}\n` }, COMMIT],
  ["a packed branch", {
    ".git/HEAD": "ref: refs/heads/a\n",
    ".git/packed-refs": `# pack-refs\n${"f".repeat(40)} refs/heads/b\n${COMMIT} refs/heads/a\n`,
  }, COMMIT],
  ["a branch without a commit", { ".git/HEAD": "ref: refs/heads/a\n" }, undefined],
  ["no clone, as in an image", {}, undefined],
];

for (const [what, files, commit] of CLONES) {
  Deno.test(`the commit of ${what}`, async () => {
    await using folder = await folderWith({ ...files, "openapi.yaml": CONTRACT });
    deepStrictEqual(await readBuild(undefined, folder.url), { version: "1.2.3", commit });
  });
}

Deno.test("a commit that was set counts more than the clone's", async () => {
  await using folder = await folderWith({ ".git/HEAD": COMMIT, "openapi.yaml": CONTRACT });
  deepStrictEqual((await readBuild("abcdef0", folder.url)).commit, "abcdef0");
});

Deno.test("this program knows its version", async () => {
  match((await readBuild(undefined)).version, /^\d+\.\d+\.\d+$/);
});
