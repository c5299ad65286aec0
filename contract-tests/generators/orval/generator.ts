import type { Generator } from "../generator.ts";
import { npmPackages } from "../tools.ts";
import { TYPESCRIPT } from "../typescript/typescript.ts";

const VERSION = "8.38.0";
const PACKAGES = npmPackages(`orval-${VERSION}`, import.meta.url);

export const orval: Generator = {
  name: "orval",
  language: "TypeScript",
  version: VERSION,
  document: "openapi.json",
  isQuick: true,
  // The newer TypeScript is found first.
  install: [TYPESCRIPT, PACKAGES],
  generate: [
    ["ln", "-s", `${PACKAGES.folder}/node_modules`, "node_modules"],
    ["orval", "--input", "openapi.json", "--output", "generated"],
  ],
  compile: [["tsc"]],
  run: ["node", "out/program.js"],
};
