import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { readDockerfile } from "../containers/dockerfile.ts";

/** One npm package at one version, as a lockfile has it. */
export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  /** As in `sha512-…`, from the registry. */
  readonly integrity: string;
  /** The keys of its dependencies. */
  readonly dependencies: readonly string[];
  /** Whether it is for one operating system or processor, so that other machines lack it. */
  readonly isForPlatform: boolean;
}

/** The packages of a deno.lock, by the keys that it gives them. */
export interface Lock {
  readonly packages: ReadonlyMap<string, LockedPackage>;
  /** The keys of what deno.json imports, by its specifiers, such as `npm:hono@4.13.19`. */
  readonly imports: ReadonlyMap<string, string>;
}

const LockFile = z.looseObject({
  version: z.literal("5"),
  specifiers: z.record(z.string(), z.string()),
  npm: z.record(
    z.string(),
    z.looseObject({
      integrity: z.string(),
      dependencies: z.array(z.string()).default([]),
      optionalDependencies: z.array(z.string()).default([]),
      os: z.array(z.string()).default([]),
      cpu: z.array(z.string()).default([]),
    }),
  ).default({}),
});

/**
 * Reads a deno.lock.
 * @throws {z.ZodError} when it has another form
 */
export function parseDenoLock(text: string): Lock {
  const { specifiers, npm } = LockFile.parse(JSON.parse(text));
  const keys = new Map(Object.keys(npm).map((key) => [key, nameAndVersion(key)] as const));
  // A dependency is named without its version where there is one version only.
  const byName = new Map([...keys].map(([key, { name }]) => [name, key]));
  const byVersion = new Map(
    [...keys].map(([key, { name, version }]) => [`${name}@${version}`, key]),
  );
  const keyOf = (dependency: string) => {
    // An alias, `its-name@npm:name@1.0.0`.
    const plain = dependency.replace(/^.+@npm:/, "");
    return [plain, byVersion.get(plain), byName.get(plain)].find((key) => key && keys.has(key));
  };
  const packages = new Map<string, LockedPackage>();
  for (const [key, { name, version }] of keys) {
    const entry = npm[key];
    if (entry === undefined) continue;
    const { integrity, dependencies, optionalDependencies, os, cpu } = entry;
    packages.set(key, {
      name,
      version,
      integrity,
      dependencies: [...dependencies, ...optionalDependencies].map(keyOf).filter((one) =>
        one !== undefined
      ),
      isForPlatform: os.length > 0 || cpu.length > 0,
    });
  }
  const imports = new Map(
    Object.entries(specifiers).map(([specifier, version]) => {
      const { name } = nameAndVersion(specifier.replace(/^npm:/, ""));
      return [specifier, `${name}@${version}`];
    }),
  );
  return { packages, imports };
}

/** `@redis/json` and `6.3.1` of `@redis/json@6.3.1_@redis+client@6.3.1`, whose rest names its peers. */
function nameAndVersion(key: string): { readonly name: string; readonly version: string } {
  const at = key.indexOf("@", 1);
  const [version = ""] = key.slice(at + 1).split("_");
  return { name: key.slice(0, at), version };
}

/** The keys of the packages with all that they depend on. */
export function closureOf({ packages }: Lock, keys: Iterable<string>): Set<string> {
  const reached = new Set<string>();
  const visit = (key: string) => {
    if (reached.has(key)) return;
    reached.add(key);
    packages.get(key)?.dependencies.forEach(visit);
  };
  for (const key of keys) visit(key);
  return reached;
}

const Graph = z.object({
  modules: z.array(z.object({
    dependencies: z.array(z.object({
      code: z.object({ specifier: z.string().optional() }).optional(),
    })).optional(),
  })),
});

/**
 * The keys of the packages that the image's programs import, by the arguments of
 * `containers/fetch_packages.ts` in the Dockerfile.
 */
export async function importsOfImage(root: string, { imports }: Lock): Promise<Set<string>> {
  const { runs } = readDockerfile(await Deno.readTextFile(join(root, "Dockerfile")));
  const words = runs.find((run) => run.includes("containers/fetch_packages.ts")) ?? [];
  const named = words.slice(words.indexOf("containers/fetch_packages.ts") + 1);
  const used = await specifiersOf(root, named.filter((one) => one.endsWith(".ts")));
  const isUsed = (specifier: string) =>
    [...used].some((one) => one === specifier || one.startsWith(`${specifier}/`)) ||
    named.some((name) => specifier.startsWith(`npm:${name}@`));
  return new Set([...imports].filter(([specifier]) => isUsed(specifier)).map(([, key]) => key));
}

/** What the programs and all their modules import, by specifier. */
async function specifiersOf(root: string, programs: readonly string[]): Promise<Set<string>> {
  // One module that imports all is one graph: a graph for each takes ten times as long.
  const all = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    const urls = programs.map((path) => pathToFileURL(join(root, path)).href);
    await Deno.writeTextFile(all, urls.map((url) => `import ${JSON.stringify(url)};\n`).join(""));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--no-npm", "--no-lock", `--config=${join(root, "deno.json")}`, all],
      cwd: root,
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    const { modules } = Graph.parse(JSON.parse(new TextDecoder().decode(stdout)));
    // Deno writes npm:name@1.0.0, but npm:/name@1.0.0/file.js.
    return new Set(
      modules.flatMap(({ dependencies = [] }) => dependencies)
        .map(({ code }) => code?.specifier?.replace(/^npm:\//, "npm:") ?? ""),
    );
  } finally {
    await Deno.remove(all);
  }
}
