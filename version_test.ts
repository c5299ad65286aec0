import { match, notStrictEqual, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parse } from "yaml";
import { layOut, readDockerfile } from "./containers/dockerfile.ts";
import { temporaryFolder } from "./testing/temporary_folder.ts";
import { codeVersion, digestOf, RELEASE } from "./version.ts";

const ROOT = new URL("./", import.meta.url);

Deno.test("the version is the one in openapi.yaml, and says which code it is", async () => {
  const { info } = parse(await Deno.readTextFile(new URL("openapi.yaml", ROOT)));
  strictEqual(info.version, RELEASE);
  match(await codeVersion() ?? "", /^\d+\.\d+\.\d+\+[0-9a-f]{8}$/);
});

Deno.test("the image has the digest of the tree that it is made from, and other code another", async () => {
  await using folder = await temporaryFolder();
  const read = (name: string) => Deno.readTextFile(new URL(name, ROOT));
  layOut(
    readDockerfile(await read("Dockerfile")),
    ROOT.pathname,
    await read(".dockerignore"),
    folder.path,
  );
  const image = pathToFileURL(`${folder.path}/`);
  const digest = await digestOf(ROOT);
  strictEqual(await digestOf(image), digest);
  await Deno.writeTextFile(join(folder.path, "main.ts"), "\n", { append: true });
  notStrictEqual(await digestOf(image), digest);
});
