/**
 * Makes `dist/` from the sources: ES modules with declarations of their types beside them; in `cjs/`
 * the same for CommonJS; in `client.min.js` all that a page needs, openapi-fetch included.
 *
 * @module
 */
import ts from "typescript";
import project from "./package.json" with { type: "json" };

const ROOT = new URL("../", import.meta.url);
const HERE = new URL("client/", ROOT);
const DIST = new URL("dist/", HERE);
const COMMON_JS = new URL("cjs/", DIST);
const BUNDLE = "client.min.js";
const FETCH_LICENCE = "openapi-fetch.LICENSE";
const NOTICE = `/*! @lotline/client ${project.version}, MIT licence (LICENSE). \
Contains openapi-fetch, © 2023 Drew Powers, MIT licence (${FETCH_LICENCE}). */
`;
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

/** The same file for CommonJS; declarations are written alike for both. */
function commonJs(name: string, text: string): string {
  if (name.endsWith(".d.ts")) return text;
  const compilerOptions = {
    module: ts.ModuleKind.CommonJS,
    target: ts.ScriptTarget.ES2022,
    esModuleInterop: true,
  };
  return ts.transpileModule(text, { compilerOptions }).outputText;
}

// From the top, where the versions and the strictness of deno.json hold.
async function deno(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

async function write(folder: URL, name: string, text: string): Promise<void> {
  await Deno.writeTextFile(new URL(name, folder), text);
}

if (Deno.args.includes("--help")) {
  console.log("usage: deno task client\n\nBuilds the npm package @lotline/client into client/dist");
  Deno.exit(0);
}
await Deno.remove(DIST, { recursive: true }).catch((error) => {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
});
await deno("transpile", "--quiet", "--declaration", "--outdir=client/dist", ...await sources());
await Deno.mkdir(COMMON_JS);
for (const folder of MADE) {
  for await (const { name } of Deno.readDir(folder)) {
    const text = published(await Deno.readTextFile(new URL(name, folder)));
    // A type that isn't written out is declared by where it lies on this machine.
    const foreign = /"file:[^"]*"|"\.[^"]*\.ts"/.exec(text)?.[0];
    if (foreign !== undefined) throw new Error(`dist/${name} refers to ${foreign}`);
    await write(DIST, name, text);
    await write(COMMON_JS, name, commonJs(name, text));
  }
  await Deno.remove(folder, { recursive: true });
}
await write(COMMON_JS, "package.json", '{ "type": "commonjs" }\n');
await Deno.copyFile(new URL("LICENSE", ROOT), new URL("LICENSE", DIST));
await Deno.copyFile(new URL(FETCH_LICENCE, HERE), new URL(FETCH_LICENCE, DIST));
const minified = ["--minify", "--platform=browser", `--output=client/dist/${BUNDLE}`];
await deno("bundle", "--quiet", ...minified, "client/client.ts");
await write(DIST, BUNDLE, NOTICE + await Deno.readTextFile(new URL(BUNDLE, DIST)));
console.log("client/dist/ is made");
