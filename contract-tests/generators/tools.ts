import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PROJECT_FOLDER } from "../../dev/state_folder.ts";
import type { Command, Tools } from "./generator.ts";

const TOOLS_FOLDER = join(PROJECT_FOLDER, ".data", "generators", "tools");

/** Tools with a name of their own, which generators may share. */
export function tools(name: string, { files = [], commands }: {
  /** Beside the module that calls: `new URL("go.mod", import.meta.url)`. */
  readonly files?: readonly URL[];
  readonly commands: readonly Command[];
}): Tools {
  return {
    folder: join(TOOLS_FOLDER, name),
    files: files.map((file) => fileURLToPath(file)),
    commands,
  };
}

/** npm packages, from the `package.json` and `package-lock.json` beside a module. */
export function npmPackages(name: string, module: string, others: readonly string[] = []): Tools {
  return tools(name, {
    files: ["package.json", "package-lock.json", ...others].map((file) => new URL(file, module)),
    // No package's own code runs at the installation.
    commands: [["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]],
  });
}

/** A virtual environment of Python, from the hashed `requirements.txt` beside a module. */
export function pythonPackages(name: string, module: string): Tools {
  const pip = ["bin/python", "-m", "pip", "install", "--quiet", "--no-compile"];
  return tools(name, {
    files: [new URL("requirements.txt", module)],
    commands: [
      ["python3", "-m", "venv", "."],
      // Wheels only: a build here would run code that no hash covers.
      [...pip, "--require-hashes", "--only-binary", ":all:", "-r", "requirements.txt"],
    ],
  });
}

/** Programs in Go, from the `tool` lines of the `go.mod` beside a module. */
export function goTools(name: string, module: string): Tools {
  return tools(name, {
    files: ["go.mod", "go.sum"].map((file) => new URL(file, module)),
    commands: [["go", "build", "-o", "bin/", "tool"]],
  });
}
