/**
 * Prometheus' own parser in Python (https://pypi.org/project/prometheus-client). Tests that need it
 * install it once.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { PROJECT_FOLDER } from "../../dev/state_folder.ts";
import { ensurePythonPackages, pythonProgram } from "../python_packages.ts";

const PACKAGES = {
  name: "prometheus-client",
  user: "The tests of metrics",
  requirements: fileURLToPath(new URL("./requirements.txt", import.meta.url)),
  folder: join(PROJECT_FOLDER, ".data", "programs", "prometheus-client"),
};

/** A value with its name and its labels. */
export type Sample = z.output<typeof Sample>;

const Sample = z.object({
  name: z.string(),
  labels: z.record(z.string(), z.string()),
  // As text: JSON has no infinity.
  value: z.string().transform(Number),
});

/**
 * The samples of a text in Prometheus' format.
 *
 * @throws {Error} with what the parser says is wrong, or when it can't be installed
 */
export async function readSamples(text: string): Promise<readonly Sample[]> {
  await ensurePythonPackages(PACKAGES, () => {});
  const child = new Deno.Command(pythonProgram(PACKAGES, "python"), {
    args: [fileURLToPath(new URL("./read.py", import.meta.url))],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const input = ReadableStream.from([new TextEncoder().encode(text)]).pipeTo(child.stdin);
  const [{ success, stdout, stderr }] = await Promise.all([child.output(), input]);
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return z.array(Sample).parse(JSON.parse(new TextDecoder().decode(stdout)));
}
