import type { Generator } from "../generator.ts";
import { npmPackages } from "../tools.ts";
import { TYPESCRIPT } from "../typescript/typescript.ts";

const VERSION = "7.13.0";
const PACKAGES = npmPackages(`openapi-typescript-${VERSION}`, import.meta.url);

export const openapiTypescript: Generator = {
  name: "openapi-typescript",
  language: "TypeScript",
  version: VERSION,
  document: "openapi.json",
  // The types of `contract/` are made with it, and `client/` is tested with openapi-fetch.
  isQuick: false,
  // The newer TypeScript is found first.
  install: [TYPESCRIPT, PACKAGES],
  generate: [
    ["ln", "-s", `${PACKAGES.folder}/node_modules`, "node_modules"],
    ["openapi-typescript", "openapi.json", "--output", "generated.ts"],
  ],
  compile: [["tsc"]],
  run: ["node", "out/program.js"],
};
