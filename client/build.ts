/**
 * Makes `dist/` from the sources: JavaScript, and declarations of its types beside it.
 *
 * @module
 */
const ROOT = new URL("../", import.meta.url);
const HERE = new URL("client/", ROOT);
const DIST = new URL("dist/", HERE);
/** Where Deno leaves what it makes: paths of the project go on below. */
const MADE = ["client", "contract"].map((folder) => new URL(`${folder}/`, DIST));

/** What the package consists of: the contract's types, and this folder without this file and tests. */
async function sources(): Promise<string[]> {
  const paths = ["contract/types.gen.ts"];
  for await (const { name } of Deno.readDir(HERE)) {
    const isSource = name.endsWith(".ts") && !name.endsWith("_test.ts") && name !== "build.ts";
    if (isSource) paths.push(`client/${name}`);
  }
  return paths.sort();
}

/** A file of Deno's making as Node and `tsc` need it: imports name what is there. */
function published(text: string): string {
  return text
    .replaceAll(/^\/\/\/ <amd-module .*\n/gm, "")
    .replaceAll('"../contract/types.gen.ts"', '"./types.gen.ts"')
    .replaceAll(/(\b(?:from|import)\s*\(?\s*"\.\/[\w.]+)\.ts"/g, '$1.js"');
}

// From the top, where the versions and the strictness of deno.json hold.
async function transpile(files: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["transpile", "--quiet", "--declaration", "--outdir", "client/dist", ...files],
    cwd: ROOT,
    stderr: "piped",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

if (Deno.args.includes("--help")) {
  console.log("usage: deno task client\n\nBuilds the npm package @lotline/client into client/dist");
  Deno.exit(0);
}
await Deno.remove(DIST, { recursive: true }).catch((error) => {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
});
await transpile(await sources());
for (const folder of MADE) {
  for await (const { name } of Deno.readDir(folder)) {
    const text = published(await Deno.readTextFile(new URL(name, folder)));
    // A type that isn't written out is declared by where it lies on this machine.
    const foreign = /"file:[^"]*"|"\.[^"]*\.ts"/.exec(text)?.[0];
    if (foreign !== undefined) throw new Error(`dist/${name} refers to ${foreign}`);
    await Deno.writeTextFile(new URL(name, DIST), text);
  }
  await Deno.remove(folder, { recursive: true });
}
await Deno.copyFile(new URL("LICENSE", ROOT), new URL("LICENSE", DIST));
console.log("client/dist/ is made");
