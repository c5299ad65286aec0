import type { Generator } from "../generator.ts";
import { npmPackages } from "../tools.ts";
import { COMPILE_TYPESCRIPT, TYPESCRIPT } from "../typescript/typescript.ts";

const VERSION = "8.38.0";
const PACKAGES = npmPackages(`orval-${VERSION}`, import.meta.url);

export const orval: Generator = {
  name: "orval",
  language: "TypeScript",
  version: VERSION,
  document: "openapi.json",
  isQuick: true,
  install: [PACKAGES, TYPESCRIPT],
  generate: [
    ["ln", "-s", `${PACKAGES.folder}/node_modules`, "node_modules"],
    ["npx", "orval", "--input", "openapi.json", "--output", "generated"],
  ],
  compile: [COMPILE_TYPESCRIPT],
  run: ["node", "out/program.js"],
};
