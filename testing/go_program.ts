import { dirname, join } from "node:path";
import { PROJECT_FOLDER } from "../dev/state_folder.ts";

/** A program in Go that the tests use. A folder's `go.mod` pins it, as its one tool. */
export interface GoProgram {
  /** The folder of `go.mod`. */
  readonly module: URL;
  /** The package, such as `github.com/oasdiff/oasdiff`. */
  readonly tool: string;
  /** Completes "… which needs Go". */
  readonly task: string;
}

/**
 * The path of the program, which is built unless it was before: a minute or two, and seconds where
 * Go has cached its parts. Another process that builds it at this moment is waited for.
 *
 * @throws {Error} when it can't be built
 */
export async function ensureGoProgram(program: GoProgram): Promise<string> {
  const path = join(PROJECT_FOLDER, ".data", "programs", await fileNameOf(program));
  await Deno.mkdir(dirname(path), { recursive: true });
  using claim = await Deno.open(`${path}.lock`, { write: true, create: true });
  await claim.lock(true);
  const isBuilt = await Deno.stat(path).then(() => true, () => false);
  if (!isBuilt) await build(program, path);
  return path;
}

/** Does this ahead of the tests that need it, and ends the process with 1 when it fails. */
export async function ahead(ensure: () => Promise<unknown>): Promise<void> {
  try {
    await ensure();
  } catch (thrown) {
    console.error(thrown instanceof Error ? thrown.message : thrown);
    Deno.exit(1);
  }
}

/** The name and version of its package. A major version isn't part of the name. */
async function fileNameOf({ module, tool }: GoProgram): Promise<string> {
  const text = await Deno.readTextFile(new URL("go.mod", module));
  const line = text.split("\n").find((line) => line.trim().startsWith(`${tool} v`)) ?? "";
  const [, version = ""] = /\s(v[\d.]+)/.exec(line) ?? [];
  return `${nameOf(tool)}-${version}`;
}

const nameOf = (tool: string) =>
  tool.split("/").filter((part) => !/^v\d+$/.test(part)).at(-1) ?? tool;

async function build({ module, tool, task }: GoProgram, path: string): Promise<void> {
  console.log(`Go builds ${nameOf(tool)}, once`);
  try {
    const { success, stderr } = await new Deno.Command("go", {
      args: ["build", "-ldflags=-s -w", "-o", path, tool],
      cwd: module,
      // The module file decides, not this machine's settings.
      env: { GOFLAGS: "-mod=readonly", GOWORK: "off", CGO_ENABLED: "0" },
    }).output();
    if (success) return;
    throw new Error(`Go can't build ${nameOf(tool)}: ${new TextDecoder().decode(stderr)}`);
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    throw new Error(`${task}, which needs Go: https://go.dev/dl`);
  }
}
