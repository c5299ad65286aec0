import { join } from "node:path";
import { z } from "zod";
import { parseDenoLock } from "./locked_packages.ts";

/** A package at one version, and the lockfiles that have it. */
export interface Installed {
  readonly name: string;
  readonly version: string;
  /** Paths in the project. */
  readonly lockfiles: readonly string[];
}

const PackageLock = z.looseObject({
  lockfileVersion: z.literal(3),
  packages: z.record(
    z.string(),
    z.looseObject({ name: z.string().optional(), version: z.string().optional() }),
  ),
});

const READERS: Readonly<Record<string, (text: string) => readonly NameAndVersion[]>> = {
  "deno.lock": (text) => [...parseDenoLock(text).packages.values()],
  "package-lock.json": readPackageLock,
};

type NameAndVersion = Pick<Installed, "name" | "version">;

function readPackageLock(text: string): NameAndVersion[] {
  const { packages } = PackageLock.parse(JSON.parse(text));
  return Object.entries(packages).flatMap(([path, { name, version }]) => {
    // The first entry is the project itself.
    if (path === "" || version === undefined) return [];
    return [{ name: name ?? path.slice(path.lastIndexOf("node_modules/") + 13), version }];
  });
}

/** The npm lockfiles of the project, by path. */
export async function listLockfiles(root: string, folder = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(root, folder))) {
    if (name.startsWith(".") || name === "node_modules") continue;
    const path = join(folder, name);
    if (isDirectory) found.push(...await listLockfiles(root, path));
    else if (name in READERS) found.push(path);
  }
  return found.sort();
}

/** All packages of the project's npm lockfiles. @throws {z.ZodError} for an unknown form of one */
export async function listInstalled(root: string): Promise<Installed[]> {
  const installed = new Map<string, Installed>();
  for (const path of await listLockfiles(root)) {
    const read = READERS[path.slice(path.lastIndexOf("/") + 1)];
    for (const { name, version } of read?.(await Deno.readTextFile(join(root, path))) ?? []) {
      const id = `${name}@${version}`;
      const lockfiles = new Set(installed.get(id)?.lockfiles).add(path);
      installed.set(id, { name, version, lockfiles: [...lockfiles] });
    }
  }
  return [...installed.values()];
}
