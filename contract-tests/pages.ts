import { posix } from "node:path";

const ROOT = new URL("../", import.meta.url);

/** A page of the project that names one of its files, by a link or in code. */
export interface Reference {
  readonly page: string;
  /** From the root of the tree. */
  readonly path: string;
}

/** The text of a file of the tree. */
export function readPage(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, ROOT));
}

/** All pages below a folder; below the root, those of the root itself, `client/` and `docs/`. */
export async function listPages(folder = ""): Promise<string[]> {
  const pages: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder || ".", ROOT))) {
    const path = folder + name;
    const isWanted = folder !== "" || ["client", "docs"].includes(name);
    if (isDirectory && isWanted && name !== "dist") pages.push(...await listPages(`${path}/`));
    else if (name.endsWith(".md")) pages.push(path);
  }
  return pages;
}

/** The files that a page names: its links, from its own folder, and paths in code, from the root. */
export function referencesOf(page: string, text: string): Reference[] {
  // A block of code may have what looks like a link.
  const prose = text.replaceAll(/^```[^]*?^```$/gm, "");
  const folder = posix.dirname(page);
  const links = [...prose.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, target = ""]) => target)
    .filter((target) => !/^https?:/.test(target))
    .map((target) => posix.normalize(posix.join(folder, target)));
  const paths = [...prose.matchAll(/`([\w-][\w./-]*\/[\w.-]+\.(?:ts|yaml|md|json|sql|txt|py))`/g)];
  // Another name without a folder may be a file of the reader's own.
  const names = page.startsWith("docs/") ? [...prose.matchAll(/`(\w+\.ts|openapi\.yaml)`/g)] : [];
  return [...links, ...[...paths, ...names].map(([, path = ""]) => path)]
    .map((path) => ({ page, path }));
}

/** The references that these pages make. */
export async function listReferences(pages: readonly string[]): Promise<Reference[]> {
  const all = await Promise.all(
    pages.map(async (page) => referencesOf(page, await readPage(page))),
  );
  return all.flat();
}

/** Those whose file isn't there. */
export async function listMissing(references: readonly Reference[]): Promise<Reference[]> {
  const missing: Reference[] = [];
  for (const reference of references) {
    const isThere = await Deno.stat(new URL(reference.path, ROOT)).then(() => true, () => false);
    if (!isThere) missing.push(reference);
  }
  return missing;
}
