import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readDockerfile } from "../containers/dockerfile.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { RELEASE } from "../version.ts";
import { listVersions, readVersion } from "./version_files.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

Deno.test("all files name the version of deno.json, which `deno task release --set` writes", async () => {
  const version = await readVersion(ROOT);
  strictEqual(RELEASE, version);
  const named = await listVersions(ROOT);
  ok(named.length >= 5);
  deepStrictEqual(named.filter((one) => one.version !== version), []);
});

/** Text files of the project, without what is made or fetched. */
async function textFiles(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(ROOT, folder))) {
    if (name.startsWith(".") || ["node_modules", "release", "dist"].includes(name)) continue;
    const path = join(folder, name);
    if (isDirectory) files.push(...await textFiles(path));
    else if (/\.(?:md|ya?ml|json|service|container)$|file$/.test(name)) files.push(path);
  }
  return files;
}

Deno.test("no other file names an image or a package of this version", async () => {
  const version = await readVersion(ROOT);
  const named = new RegExp(`lotline[\\w-]*[:@-]v?${version.replaceAll(".", "\\.")}`);
  const files = await textFiles("");
  const found: string[] = [];
  for (const path of files) {
    if (named.test(await Deno.readTextFile(join(ROOT, path)))) found.push(path);
  }
  ok(files.length > 50 && found.includes("client/README.md"), found.join());
  const known = new Set((await listVersions(ROOT)).map(({ path }) => path));
  deepStrictEqual(found.filter((path) => !known.has(path)), []);
});

Deno.test("an image is labelled with the version, and with what its build is told", async () => {
  const { labels } = readDockerfile(await Deno.readTextFile(join(ROOT, "Dockerfile")));
  const told = Object.fromEntries(
    Object.entries(labels).map((
      [name, value],
    ) => [name.replace("org.opencontainers.image.", ""), value]),
  );
  deepStrictEqual(told, {
    title: "Lotline",
    description: "Lot traceability of a food plant",
    licenses: "MIT",
    version: await readVersion(ROOT),
    revision: "",
    created: "",
    source: "",
  });
});

Deno.test("a file that lost its version is found", async () => {
  await using folder = await temporaryFolder();
  await Deno.writeTextFile(join(folder.path, "deno.json"), '{\n  "tasks": {}\n}\n');
  await rejects(readVersion(folder.path), /deno\.json names no version/);
  await rejects(listVersions(folder.path), /deno\.json names no version/);
});
