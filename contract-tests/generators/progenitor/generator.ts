import { join } from "node:path";
import { PROJECT_FOLDER } from "../../../dev/state_folder.ts";
import type { Generator } from "../generator.ts";
import { tools } from "../tools.ts";

const VERSION = "0.15.1";
/** Outside the work folder, so that the packages are compiled once. */
const TARGET = join(PROJECT_FOLDER, ".data", "generators", "cargo");
const PROGRAM = tools(`progenitor-${VERSION}`, {
  commands: [[
    ...["cargo", "install", "cargo-progenitor", "--version", VERSION],
    ...["--locked", "--quiet", "--root", "."],
  ]],
});

export const progenitor: Generator = {
  name: "progenitor",
  language: "Rust",
  version: VERSION,
  document: "openapi-3.0.json",
  isQuick: false,
  install: [PROGRAM],
  generate: [
    // It stops at any `not`: "not yet implemented: unhandled not schema".
    ["python3", "without_not.py"],
    [
      ...["cargo", "progenitor", "--input", "without-not.json", "--output", "generated"],
      ...["--name", "lotline", "--version", "0.1.0"],
    ],
  ],
  compile: [["cargo", "build", "--locked", "--quiet", "--target-dir", TARGET]],
  run: [join(TARGET, "debug", "program")],
};
