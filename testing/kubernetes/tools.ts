/**
 * kustomize (https://github.com/kubernetes-sigs/kustomize), which `kubectl apply -k` has built in, and
 * kubernetes-validate (https://pypi.org/project/kubernetes-validate), which has the schemas of each
 * version of Kubernetes. The tests that need them install them once, as does this program; CI starts
 * it early, beside other tests.
 *
 * @module
 */
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { PROJECT_FOLDER } from "../../dev/state_folder.ts";
import { ensureGoProgram } from "../../dev/go_program.ts";
import { ahead } from "../ahead.ts";
import { ensurePythonPackages, pythonProgram } from "../python_packages.ts";
import { temporaryFolder } from "../temporary_folder.ts";

const VALIDATE = {
  name: "kubernetes-validate",
  user: "The check of Kubernetes' schemas",
  requirements: fileURLToPath(new URL("./requirements.txt", import.meta.url)),
  folder: join(PROJECT_FOLDER, ".data", "programs", "kubernetes-validate"),
};

export interface KubernetesTools {
  /**
   * The YAML documents that a kustomization makes.
   *
   * @param folder its path in the project
   * @throws {Error} with what kustomize says is wrong
   */
  render(folder: string): Promise<string>;
  /** The same with components, which are folders of the project too. */
  renderWith(folder: string, ...components: readonly string[]): Promise<string>;
  /**
   * What the schemas of a version, such as 1.30, find wrong in YAML documents: a line each. Fields
   * that Kubernetes doesn't know and kinds without a schema are mistakes.
   */
  schemaMistakes(documents: string, version: string): Promise<readonly string[]>;
}

/** @throws {Error} when one can't be installed; the message says what is missing */
export async function ensureKubernetesTools(): Promise<KubernetesTools> {
  const kustomize = await ensureGoProgram({
    name: "kustomize",
    module: new URL("./kustomize/", import.meta.url),
    package: "sigs.k8s.io/kustomize/kustomize/v5",
  });
  await ensurePythonPackages(VALIDATE, console.log);
  const render = async (path: string) => {
    const { code, output, error } = await run(kustomize, ["build", path]);
    if (code === 0) return output;
    throw new Error(error);
  };
  return {
    render: (folder) => render(join(PROJECT_FOLDER, folder)),
    async renderWith(folder, ...components) {
      await using overlay = await temporaryFolder();
      const [resource, ...others] = [folder, ...components]
        .map((path) => relative(overlay.path, join(PROJECT_FOLDER, path)));
      const kustomization = { resources: [resource], components: others };
      await Deno.writeTextFile(
        join(overlay.path, "kustomization.yaml"),
        JSON.stringify(kustomization),
      );
      return await render(overlay.path);
    },
    async schemaMistakes(documents, version) {
      const file = await Deno.makeTempFile({ suffix: ".yaml" });
      try {
        await Deno.writeTextFile(file, documents);
        const { output, error } = await run(
          pythonProgram(VALIDATE, "kubernetes-validate"),
          ["-k", version, "--strict", file],
        );
        // A kind without a schema is only a warning, whatever the exit code.
        return `${output}\n${error}`.split("\n").filter((line) => !/^(?:INFO .*)?$/.test(line))
          .map((line) => line.replace(file, "").replace(/ +/g, " "));
      } finally {
        await Deno.remove(file);
      }
    },
  };
}

async function run(command: string, args: readonly string[]) {
  const { code, stdout, stderr } = await new Deno.Command(command, { args: [...args] }).output();
  const text = new TextDecoder();
  return { code, output: text.decode(stdout), error: text.decode(stderr) };
}

if (import.meta.main) await ahead(ensureKubernetesTools);
