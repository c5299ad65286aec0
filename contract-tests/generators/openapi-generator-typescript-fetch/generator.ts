import type { Generator } from "../generator.ts";
import {
  OPENAPI_GENERATOR,
  OPENAPI_GENERATOR_VERSION,
  openapiGenerator,
} from "../openapi-generator/openapi_generator.ts";
import { npmPackages } from "../tools.ts";
import { TYPESCRIPT } from "../typescript/typescript.ts";

const PACKAGES = npmPackages("typescript-fetch", import.meta.url);

export const openapiGeneratorTypescriptFetch: Generator = {
  name: "openapi-generator-typescript-fetch",
  language: "TypeScript",
  version: OPENAPI_GENERATOR_VERSION,
  document: "openapi.json",
  isQuick: false,
  install: [OPENAPI_GENERATOR, TYPESCRIPT, PACKAGES],
  generate: [
    ["ln", "-s", `${PACKAGES.folder}/node_modules`, "node_modules"],
    openapiGenerator("typescript-fetch", "openapi.json"),
  ],
  compile: [["tsc"]],
  run: ["node", "out/program.js"],
};
