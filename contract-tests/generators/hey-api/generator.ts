import type { Generator } from "../generator.ts";
import { npmPackages } from "../tools.ts";
import { TYPESCRIPT } from "../typescript/typescript.ts";

const VERSION = "0.99.0";
// It looks for its user's `tsconfig.json` from its own folder upwards.
const PACKAGES = npmPackages(`hey-api-${VERSION}`, import.meta.url, ["tsconfig.json"]);

export const heyApi: Generator = {
  name: "hey-api",
  language: "TypeScript",
  version: VERSION,
  document: "openapi.json",
  isQuick: true,
  // The newer TypeScript is found first.
  install: [TYPESCRIPT, PACKAGES],
  generate: [
    ["ln", "-s", `${PACKAGES.folder}/node_modules`, "node_modules"],
    ["openapi-ts", "--input", "openapi.json", "--output", "generated"],
  ],
  compile: [["tsc"]],
  run: ["node", "out/program.js"],
};
