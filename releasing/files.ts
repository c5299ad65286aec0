import { createHash } from "node:crypto";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { parse } from "yaml";
import { toOpenapi30 } from "../contract/openapi_30.ts";
import { sectionsOf } from "./changelog.ts";
import { git, gitBytes } from "./git.ts";
import { billOfMaterials } from "./sbom.ts";

/** The folder of the files of all releases, which git ignores. */
export const RELEASES = "release";
const SUMS = "SHA256SUMS";

/**
 * Makes the files of a tagged release from its commit, in `release/X.Y.Z`, in place of those that are
 * there. The same commit gives the same bytes.
 *
 * @param tag must be what is checked out: its own programs make the files
 * @returns the folder
 * @throws {Error} when a program that makes a file fails
 */
export async function makeFiles(root: string, tag: string): Promise<string> {
  const version = tag.slice(1);
  const [commit, seconds] =
    (await git(root, "show", "--no-patch", "--format=%H %ct", `${tag}^{commit}`)).split(" ");
  const subject = { version, commit: commit ?? "", time: new Date(Number(seconds) * 1000) };
  const target = join(root, RELEASES, version);
  await Deno.mkdir(join(root, RELEASES), { recursive: true });
  const folder = await Deno.makeTempDir({ dir: join(root, RELEASES), prefix: `.${version}-` });
  const tree = await Deno.makeTempDir({ prefix: "lotline-release-" });
  try {
    // A user's umask must not show in the archive.
    const archive = ["-c", "tar.umask=0022", "archive", "--format=tar"];
    const prefix = `--prefix=lotline-${version}/`;
    const source = await gitBytes(root, ...archive, prefix, tag);
    await Deno.writeFile(
      join(folder, `lotline-${version}.tar.gz`),
      gzipSync(source, { level: 9 }),
    );
    await git(root, ...archive, `--output=${join(tree, "tree.tar")}`, tag);
    await run(tree, "tar", ["xf", "tree.tar"]);
    await run(tree, Deno.execPath(), ["task", "--quiet", "client"]);
    await run(join(tree, "client"), "npm", ["pack", "--silent", "--pack-destination", folder]);

    const write = (name: string, text: string) =>
      Deno.writeTextFile(join(folder, `lotline-${version}${name}`), text);
    const contract = await Deno.readTextFile(join(tree, "openapi.yaml"));
    await write("-openapi.yaml", contract);
    await write("-openapi-3.0.json", `${JSON.stringify(toOpenapi30(parse(contract)), null, 2)}\n`);
    await write("-sbom.cdx.json", await billOfMaterials(tree, subject));
    await write("-changes.md", await changesOf(tree, version));
    await Deno.writeTextFile(join(folder, SUMS), await sumsOf(folder));
    await Deno.chmod(folder, 0o755);
    await Deno.remove(target, { recursive: true }).catch(() => {});
    await Deno.rename(folder, target);
    return target;
  } catch (thrown) {
    await Deno.remove(folder, { recursive: true });
    throw thrown;
  } finally {
    await Deno.remove(tree, { recursive: true });
  }
}

async function run(cwd: string, program: string, args: string[]): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd,
    // npm packs what is there; it has nothing to look up.
    env: { NO_COLOR: "1", npm_config_offline: "true", npm_config_update_notifier: "false" },
  }).output();
  if (success) return;
  const text = new TextDecoder();
  throw new Error(`${program} ${args.join(" ")}\n${text.decode(stdout)}${text.decode(stderr)}`);
}

async function changesOf(tree: string, version: string): Promise<string> {
  const sections = sectionsOf(await Deno.readTextFile(join(tree, "CHANGELOG.md")));
  const section = sections.find(({ name }) => name === version);
  if (section === undefined) throw new Error(`CHANGELOG.md has no section ${version}`);
  return `# Lotline ${version}, ${section.day}\n\n${section.text}\n`;
}

/** A line a file, as `sha256sum --check` reads it. */
async function sumsOf(folder: string): Promise<string> {
  const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
  const lines = await Promise.all(names.map(async (name) => {
    const bytes = await Deno.readFile(join(folder, name));
    return `${createHash("sha256").update(bytes).digest("hex")}  ${name}\n`;
  }));
  return lines.join("");
}
