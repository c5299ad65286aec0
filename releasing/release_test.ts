import { deepStrictEqual, match, notDeepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { findRelease } from "../contract-tests/released.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { git, GitError } from "./git.ts";
import { listVersions, readVersion } from "./version_files.ts";

/* The task on a repository of its own with this tree's files: neither this one's history nor its tags matter. */

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** A repository whose only commit has this tree's files, with one change in its changelog. */
async function repositoryOfTree(root: string): Promise<void> {
  await git(root, "init", "--quiet", "--initial-branch=main");
  for (const [name, value] of [["name", "Test"], ["email", "test@example.invalid"]]) {
    await git(root, "config", `user.${name}`, value ?? "");
  }
  await git(root, "config", "tag.gpgSign", "false");
  await git(root, "config", "commit.gpgSign", "false");
  await git(root, `--git-dir=${join(root, ".git")}`, `--work-tree=${ROOT}`, "add", "--all", ROOT);
  await git(root, "checkout-index", "--all");
  await Deno.writeTextFile(
    join(root, "CHANGELOG.md"),
    "# Changelog\n\n## Unreleased\n\n### Added\n\n- Scales.\n",
  );
  await git(root, "commit", "--quiet", "--all", "--message=All");
}

/** `deno task release`, without the task's own start. */
async function release(
  root: string,
  ...args: string[]
): Promise<{ readonly code: number; readonly output: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", "releasing/release_main.ts", ...args],
    cwd: root,
    // What differs between machines must not show in the files.
    env: { NO_COLOR: "1", TZ: args.includes("--files") ? "Asia/Tokyo" : "America/Lima" },
  }).output();
  const text = new TextDecoder();
  return { code, output: text.decode(stdout) + text.decode(stderr) };
}

async function succeeds(program: string, args: string[], cwd: string): Promise<boolean> {
  return (await new Deno.Command(program, { args, cwd }).output()).success;
}

Deno.test("a release is checked, committed, tagged and made into files, which come out alike again", async () => {
  await using folder = await temporaryFolder();
  const root = folder.path;
  await repositoryOfTree(root);
  const version = await readVersion(root);
  const head = await git(root, "rev-parse", "HEAD");

  const dry = await release(root, version);
  match(dry.output, /can be released: .*task release \d+\.\d+\.\d+ --tag/);
  deepStrictEqual(
    [dry.code, await git(root, "rev-parse", "HEAD"), await git(root, "status", "--porcelain")],
    [0, head, ""],
  );
  strictEqual(await findRelease(root), undefined);

  const made = await release(root, version, "--tag");
  strictEqual(made.code, 0, made.output);
  match(made.output, /git push --atomic origin main v/);
  strictEqual(await git(root, "cat-file", "-t", `v${version}`), "tag");
  strictEqual(await git(root, "status", "--porcelain"), "");
  match(
    await Deno.readTextFile(join(root, "CHANGELOG.md")),
    /^# Changelog\n\n## Unreleased\n\n## \d+\.\d+\.\d+ — \d{4}-\d\d-\d\d\n\n### Added\n\n- Scales\.\n$/,
  );

  const files = join(root, "release", version);
  const names = (await Array.fromAsync(Deno.readDir(files))).map(({ name }) => name).sort();
  deepStrictEqual(names, [
    "SHA256SUMS",
    ...["-changes.md", "-openapi-3.0.json", "-openapi.yaml", "-sbom.cdx.json", ".tar.gz"].map(
      (end) => `lotline-${version}${end}`,
    ),
    `lotline-client-${version}.tgz`,
  ]);
  const read = (name: string) => Deno.readTextFile(join(files, name));
  match(await read(`lotline-${version}-changes.md`), /^# Lotline .*\n\n### Added\n\n- Scales\.\n$/);
  const [in31, in30] = [
    parse(await read(`lotline-${version}-openapi.yaml`)),
    JSON.parse(await read(`lotline-${version}-openapi-3.0.json`)),
  ];
  deepStrictEqual([in31.openapi, in31.info.version], ["3.1.0", version]);
  deepStrictEqual([in30.openapi, in30.info.version], ["3.0.3", version]);
  const bill = JSON.parse(await read(`lotline-${version}-sbom.cdx.json`));
  strictEqual(bill.metadata.component.version, version);
  strictEqual(
    bill.metadata.component.properties[0].value,
    await git(root, "rev-parse", `v${version}^{commit}`),
  );
  await unpacked(join(files, `lotline-${version}.tar.gz`), async (source) => {
    const versions = await listVersions(join(source, `lotline-${version}`));
    deepStrictEqual(new Set(versions.map((one) => one.version)), new Set([version]));
  });
  await unpacked(join(files, `lotline-client-${version}.tgz`), async (source) => {
    const manifest = await Deno.readTextFile(join(source, "package/package.json"));
    strictEqual(JSON.parse(manifest).version, version);
    ok((await Deno.stat(join(source, "package/dist/client.js"))).isFile);
  });

  const check = () => succeeds("sha256sum", ["--check", "--strict", "SHA256SUMS"], files);
  ok(await check());
  const sums = await read("SHA256SUMS");
  strictEqual(sums.split("\n").length, names.length);
  await Deno.writeTextFile(join(files, `lotline-${version}-changes.md`), "More.\n", {
    append: true,
  });
  strictEqual(await check(), false);
  const again = await release(root, "--files");
  strictEqual(again.code, 0, again.output);
  strictEqual(await read("SHA256SUMS"), sums);
  ok(await check());
});

async function unpacked(archive: string, look: (folder: string) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder();
  ok(await succeeds("tar", ["xzf", archive], folder.path));
  await look(folder.path);
}

Deno.test("files are made of what a tag has, and of nothing else", async () => {
  await using folder = await temporaryFolder();
  const root = folder.path;
  await repositoryOfTree(root);
  match((await release(root, "--files")).output, /No tag of a release is checked out/);
  await Deno.writeTextFile(join(root, "more.ts"), "");
  const { code, output } = await release(root, "--files");
  deepStrictEqual([code, /aren't committed/.test(output)], [1, true]);
});

for (
  const args of [[], ["0.2.0", "0.3.0"], ["0.2.0", "--files"], ["0.2.0", "--set", "--tag"], ["--x"]]
) {
  Deno.test(`release ${args.join(" ") || "without arguments"} shows its usage`, async () => {
    const { code, output } = await release(ROOT, ...args);
    strictEqual(code, 2);
    match(output, /usage: .*task release X\.Y\.Z/);
  });
}

Deno.test("an error of git is told in git's words", async () => {
  await using folder = await temporaryFolder();
  const error = await git(folder.path, "rev-parse", "HEAD").catch((thrown) => thrown);
  ok(error instanceof GitError);
  match(error.message, /not a git repository/);
  notDeepStrictEqual(error.message, "");
});
