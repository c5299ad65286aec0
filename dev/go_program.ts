/**
 * Programs in Go that tests and tools run. Each is pinned by a folder's `go.mod` and `go.sum`, and
 * built once.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** What is thrown on a machine without Go. */
export class NeedsGo extends Error {}

/** Where a program's code is. */
export interface GoProgram {
  readonly name: string;
  /** The folder of its `go.mod`, with a slash at the end. */
  readonly module: URL;
  /** The package to build, `.` for the folder's own. */
  readonly package: string;
}

/**
 * The path of a program, which is built unless it was before: it takes up to two minutes, and
 * seconds where Go has cached its parts. Another process that builds it at this moment is waited
 * for.
 *
 * @throws {NeedsGo} on a machine without Go
 * @throws {Error} when it can't be built
 */
export async function ensureGoProgram(program: GoProgram): Promise<string> {
  const suffix = Deno.build.os === "windows" ? ".exe" : "";
  const file = `../.data/programs/${program.name}-${await digestOf(program.module)}${suffix}`;
  const path = fileURLToPath(new URL(file, import.meta.url));
  await Deno.mkdir(dirname(path), { recursive: true });
  using claim = await Deno.open(`${path}.lock`, { write: true, create: true });
  await claim.lock(true);
  const isBuilt = await Deno.stat(path).then(() => true, () => false);
  if (!isBuilt) await build(program, path);
  return path;
}

async function build({ name, module, package: source }: GoProgram, path: string): Promise<void> {
  console.log(`Go builds ${name}, once`);
  try {
    const { success, stderr } = await new Deno.Command("go", {
      args: ["build", "-ldflags=-s -w", "-o", path, source],
      cwd: module,
      // The module file decides, not this machine's settings.
      env: { GOFLAGS: "-mod=readonly", GOWORK: "off", CGO_ENABLED: "0" },
    }).output();
    if (!success) throw new Error(`Go can't build ${name}: ${new TextDecoder().decode(stderr)}`);
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    throw new NeedsGo(`${name} is a program in Go, which this machine lacks: https://go.dev/dl`);
  }
}

/** Changes with the program's version and with its own code. */
async function digestOf(module: URL): Promise<string> {
  const files = (await Array.fromAsync(Deno.readDir(module))).map(({ name }) => name)
    .filter((name) => /\.(?:go|mod|sum)$/.test(name)).sort();
  const hash = createHash("sha256");
  for (const name of files) hash.update(await Deno.readFile(new URL(name, module)));
  return hash.digest("hex").slice(0, 12);
}
