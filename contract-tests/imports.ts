import { posix } from "node:path";

const ROOT = new URL("../", import.meta.url);

/** One file imports another, as paths of the project. */
export interface Import {
  readonly from: string;
  readonly to: string;
}

/** All source files under the folders and among the files that `isWanted` accepts, in order. */
export async function sourceFiles(isWanted: (path: string) => boolean): Promise<string[]> {
  const files: string[] = [];
  const visit = async (folder: string) => {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder || ".", ROOT))) {
      const path = `${folder}${name}`;
      if (!isWanted(path)) continue;
      if (isDirectory) await visit(`${path}/`);
      else if (path.endsWith(".ts")) files.push(path);
    }
  };
  await visit("");
  return files.sort();
}

export async function readSource(file: string): Promise<string> {
  return await Deno.readTextFile(new URL(file, ROOT));
}

/** The project's files that a source file imports. */
export function importsOf(file: string, source: string): Import[] {
  const found = source.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+)"/g);
  return [...found].map(([, target]) => ({
    from: file,
    to: posix.normalize(posix.join(posix.dirname(file), target ?? "")),
  }));
}

export async function importsOfAll(files: readonly string[]): Promise<Import[]> {
  const imports: Import[] = [];
  for (const file of files) imports.push(...importsOf(file, await readSource(file)));
  return imports;
}

/**
 * Groups of files that import each other in a circle, each in order.
 *
 * Tarjan's algorithm: https://doi.org/10.1137/0201010
 */
export function circles(imports: readonly Import[]): string[][] {
  const targets = Map.groupBy(imports, ({ from }) => from);
  const order = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const found: string[][] = [];
  const visit = (file: string): number => {
    const mine = order.size;
    order.set(file, mine);
    low.set(file, mine);
    stack.push(file);
    for (const { to } of targets.get(file) ?? []) {
      const reached = order.get(to);
      const lowest = reached === undefined ? visit(to) : stack.includes(to) ? reached : mine;
      low.set(file, Math.min(low.get(file) ?? mine, lowest));
    }
    if (low.get(file) === mine) {
      const group = stack.splice(stack.indexOf(file));
      if (group.length > 1) found.push(group.sort());
    }
    return low.get(file) ?? mine;
  };
  for (const file of targets.keys()) if (!order.has(file)) visit(file);
  return found;
}
