/**
 * The version stands in `deno.json`. The other files that name it are listed here: a release sets them,
 * and a test compares them.
 *
 * @module
 */
import { join } from "node:path";

/** A place that names the version; the pattern's first group is the version. */
interface VersionPlace {
  readonly path: string;
  readonly pattern: RegExp;
}

/** A version as a file names it. */
export interface NamedVersion {
  readonly path: string;
  readonly version: string;
}

const SOURCE: VersionPlace = { path: "deno.json", pattern: /^ {2}"version": "([\d.]+)"/gm };

const PLACES: readonly VersionPlace[] = [
  SOURCE,
  { path: "openapi.yaml", pattern: /^ {2}version: ([\d.]+)$/gm },
  { path: "client/package.json", pattern: /^ {2}"version": "([\d.]+)"/gm },
  { path: "client/README.md", pattern: /lotline-client-(\d+\.\d+\.\d+)\.tgz/g },
  { path: "Dockerfile", pattern: /^ARG LOTLINE_VERSION=([\d.]+)$/gm },
];

/** In configurations and commands: kustomize's tag, and the name of an image. */
const IMAGE_TAGS = /(?:\bnewTag: *["']?|\blotline:v?)(\d+\.\d+\.\d+)\b/g;
const FOLDERS_WITH_IMAGES = ["deploy", "docs"];

/** The version that the next release has at least, from deno.json. */
export async function readVersion(root: string): Promise<string> {
  const [found] = await versionsAt(root, SOURCE);
  if (found === undefined) throw new Error("deno.json names no version");
  return found.version;
}

/**
 * All versions that the files name, deno.json's first.
 * @throws {Error} when a file that must name the version names none
 */
export async function listVersions(root: string): Promise<NamedVersion[]> {
  const named: NamedVersion[] = [];
  for (const place of PLACES) {
    const found = await versionsAt(root, place);
    if (found.length === 0) throw new Error(`${place.path} names no version`);
    named.push(...found);
  }
  for (const place of await imagePlaces(root)) named.push(...await versionsAt(root, place));
  return named;
}

/** Writes a version into all files that name it; resolves with the paths of those that changed. */
export async function setVersion(root: string, version: string): Promise<string[]> {
  const changed: string[] = [];
  for (const { path, pattern } of [...PLACES, ...await imagePlaces(root)]) {
    const file = join(root, path);
    const before = await Deno.readTextFile(file);
    const after = before.replaceAll(pattern, (whole, old: string) => whole.replace(old, version));
    if (after === before) continue;
    await Deno.writeTextFile(file, after);
    changed.push(path);
  }
  return changed;
}

async function versionsAt(root: string, { path, pattern }: VersionPlace): Promise<NamedVersion[]> {
  const text = await Deno.readTextFile(join(root, path));
  return [...text.matchAll(pattern)].map(([, version = ""]) => ({ path, version }));
}

/** The configurations under `deploy/` and the pages, whichever there are. */
async function imagePlaces(root: string): Promise<VersionPlace[]> {
  const places = FOLDERS_WITH_IMAGES.map((folder) => imagePlacesIn(root, folder));
  return (await Promise.all(places)).flat();
}

async function imagePlacesIn(root: string, folder: string): Promise<VersionPlace[]> {
  const places: VersionPlace[] = [];
  for (const { name, isDirectory } of await entriesOf(join(root, folder))) {
    const path = `${folder}/${name}`;
    if (isDirectory) places.push(...await imagePlacesIn(root, path));
    else if (/\.(?:ya?ml|container|service|md)$/.test(name)) {
      places.push({ path, pattern: IMAGE_TAGS });
    }
  }
  return places.sort((a, b) => a.path < b.path ? -1 : 1);
}

async function entriesOf(folder: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder));
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return [];
    throw thrown;
  }
}
