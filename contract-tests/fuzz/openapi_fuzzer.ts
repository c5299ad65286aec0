import { join } from "node:path";
import { PROJECT_FOLDER } from "../../dev/state_folder.ts";
import type { AuthMode } from "../../auth/guard.ts";
import { toOpenapi30 } from "../../contract/openapi_30.ts";
import { readContract } from "../documents.ts";
import { asObject, type Json } from "../normal_form.ts";
import { startInstance } from "./instance.ts";
import { tokenOf } from "./unconfigured.ts";

/*
 * openapi-fuzzer (https://github.com/matusf/openapi-fuzzer), a fuzzer of another school: it knows
 * types alone, sends random payloads without regard to patterns, and reports every status that the
 * document doesn't have for the operation. Nothing of it is part of the project: it has the AGPL.
 */

const VERSION = "0.2.0";
const ROOT = join(PROJECT_FOLDER, ".data", "openapi-fuzzer");
const PROGRAM = join(
  ROOT,
  "bin",
  Deno.build.os === "windows" ? "openapi-fuzzer.exe" : "openapi-fuzzer",
);

/** openapi-fuzzer can't be installed; the message has instructions. */
export class NoOpenapiFuzzer extends Error {
  override name = "NoOpenapiFuzzer";
}

/**
 * Builds it with Cargo, unless it is built already.
 *
 * @throws {NoOpenapiFuzzer} without Cargo, or when the build fails
 */
export async function installOpenapiFuzzer(say: (line: string) => void): Promise<void> {
  if (await Deno.stat(PROGRAM).catch(() => undefined) !== undefined) return;
  say("Building openapi-fuzzer into .data, which takes some minutes …");
  const args = ["install", "openapi-fuzzer", "--version", VERSION, "--locked", "--root", ROOT];
  const built = await new Deno.Command("cargo", { args }).output().catch((error) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  });
  if (built === undefined) throw new NoOpenapiFuzzer("openapi-fuzzer needs Rust's cargo");
  if (built.success) return;
  const said = new TextDecoder().decode(built.stderr).trim();
  throw new NoOpenapiFuzzer(`openapi-fuzzer could not be built:\n${said}`);
}

/**
 * Runs it in one mode against a temporary service.
 *
 * @returns whether every status was one of the document
 */
export async function runOpenapiFuzzer(
  mode: AuthMode,
  examples: number,
  say: (line: string) => void,
): Promise<boolean> {
  await using instance = await startInstance(mode);
  await using own = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "lotline-fuzz-" });
  own.defer(() => Deno.remove(folder, { recursive: true }));
  const document = join(folder, "openapi-3.0.json");
  await Deno.writeTextFile(document, JSON.stringify(withoutLinks(openapi30())));
  const token = await tokenOf(instance);
  const { success, stdout, stderr } = await new Deno.Command(PROGRAM, {
    args: [
      ...["run", "--spec", document, "--url", instance.url],
      ...["--max-test-case-count", `${examples}`],
      ...(token === undefined ? [] : ["--header", `Authorization: Bearer ${token}`]),
    ],
    cwd: folder,
  }).output();
  say(`AUTH_MODE=${mode}, openapi-fuzzer, ${examples} requests an operation:`);
  say(new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr));
  return success;
}

const openapi30 = (): Json => JSON.parse(JSON.stringify(toOpenapi30(readContract())));

// It refuses a document with links that have an extension.
function withoutLinks(document: Json): Json {
  if (Array.isArray(document)) return document.map(withoutLinks);
  if (typeof document !== "object" || document === null) return document;
  const { links: _, ...others } = asObject(document);
  return Object.fromEntries(
    Object.entries(others).map(([key, value]) => [key, withoutLinks(value)]),
  );
}
