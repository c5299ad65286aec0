import { createHash } from "node:crypto";
import project from "./deno.json" with { type: "json" };

/** The version in deno.json. */
export const RELEASE = project.version;

/** The folders of the image, see Dockerfile; a part that was removed has none. */
const FOLDERS = [
  ...["audit", "auth", "cache", "contract", "cutover", "db", "doctor", "dry_run", "http", "jobs"],
  ...["lineage", "routes", "telemetry"],
];
/** What the image lacks, see .dockerignore. */
const NOT_IN_IMAGE = ["bench", "faults", "odd_requests", "testing"].map((name) =>
  `cutover/${name}/`
);
const DIGITS = 8;

let version: Promise<string | undefined> | undefined;

/**
 * The release and a digest of the code, such as `0.1.0+3f2a9c1b`: two processes with the same one run
 * the same code, also without Git. Undefined when the code can't be read.
 */
export function codeVersion(): Promise<string | undefined> {
  return version ??= digestOf(new URL("./", import.meta.url)).then(
    (digest) => `${RELEASE}+${digest}`,
    () => undefined,
  );
}

/** @throws {Deno.errors.NotCapable} without the permission to read the folder */
export async function digestOf(root: URL): Promise<string> {
  const paths = (await Promise.all([
    filesOf(root, "", false),
    ...FOLDERS.map((folder) => filesOf(root, `${folder}/`, true)),
  ])).flat().sort();
  const hash = createHash("sha256");
  for (const path of paths) {
    // One at a time: requests come first.
    const bytes = await Deno.readFile(new URL(path, root));
    hash.update(`${path} ${bytes.length}\n`).update(bytes);
  }
  return hash.digest("hex").slice(0, DIGITS);
}

/** The files of the program in a folder, with paths from the root. */
async function filesOf(root: URL, folder: string, isDeep: boolean): Promise<readonly string[]> {
  const files: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
      const path = `${folder}${name}`;
      if (isDirectory && isDeep) files.push(...await filesOf(root, `${path}/`, true));
      else if (isCode(path)) files.push(path);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return files;
}

function isCode(path: string): boolean {
  return (path.endsWith(".ts") || path.endsWith(".sql")) && !path.endsWith("_test.ts") &&
    !NOT_IN_IMAGE.some((folder) => path.startsWith(folder));
}
