import type { Generator } from "../generator.ts";
import { npmPackages } from "../tools.ts";
import { COMPILE_TYPESCRIPT, TYPESCRIPT } from "../typescript/typescript.ts";

const VERSION = "0.99.0";
// It looks for its user's `tsconfig.json` from its own folder upwards.
const PACKAGES = npmPackages(`hey-api-${VERSION}`, import.meta.url, ["tsconfig.json"]);

export const heyApi: Generator = {
  name: "hey-api",
  language: "TypeScript",
  version: VERSION,
  document: "openapi.json",
  isQuick: true,
  install: [PACKAGES, TYPESCRIPT],
  generate: [
    ["ln", "-s", `${PACKAGES.folder}/node_modules`, "node_modules"],
    ["npx", "openapi-ts", "--input", "openapi.json", "--output", "generated"],
  ],
  compile: [COMPILE_TYPESCRIPT],
  run: ["node", "out/program.js"],
};
