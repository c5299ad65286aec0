/**
 * Runs during the image build. It fetches the packages that the given programs import, at the
 * versions of the lockfile, and no others. Packages that a program only finds by
 * `import.meta.resolve` are not among its imports: name them after the programs.
 *
 *     deno run --allow-read --allow-write=deno.json --allow-run containers/fetch_packages.ts \
 *       main.ts
 *
 * As soon as one package is needed, Deno fetches everything that a lockfile names, development
 * tools and PostgreSQL's binaries included. So deno.json is reduced to the imports of the programs.
 * Deno then removes the rest from deno.lock by itself, and leaves the remaining entries unchanged.
 *
 * @module
 */
// Deno's own output and our own file need no schema. A schema would need a package, and one package
// here is enough to make Deno fetch them all.
interface ModuleGraph {
  modules: { dependencies?: { code?: { specifier?: string } }[] }[];
}
interface Configuration {
  imports: Record<string, string>;
}

const programs = Deno.args.filter((argument) => argument.endsWith(".ts"));
const required = Deno.args.filter((argument) => !argument.endsWith(".ts"));
const used = new Set<string>();
for (const program of programs) {
  const graph: ModuleGraph = JSON.parse(
    await deno("info", "--json", "--no-npm", "--no-lock", program),
  );
  for (const { code } of graph.modules.flatMap(({ dependencies }) => dependencies ?? [])) {
    // Deno writes npm:name@1.0.0, but npm:/name@1.0.0/file.js.
    if (code?.specifier) used.add(code.specifier.replace(/^npm:\//, "npm:"));
  }
}

const configuration: Configuration = JSON.parse(await Deno.readTextFile("deno.json"));
const imports = Object.entries(configuration.imports).filter(([name, target]) =>
  required.includes(name) ||
  [...used].some((specifier) => specifier === target || specifier.startsWith(`${target}/`))
);
await Deno.writeTextFile(
  "deno.json",
  JSON.stringify({ ...configuration, imports: Object.fromEntries(imports) }, null, 2),
);
await deno("cache", ...programs);

async function deno(...args: string[]): Promise<string> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" })
    .output();
  if (!success) throw new Error(`deno ${args.join(" ")} failed`);
  return new TextDecoder().decode(stdout);
}
