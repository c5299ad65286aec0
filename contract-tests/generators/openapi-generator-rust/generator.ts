import { join } from "node:path";
import { PROJECT_FOLDER } from "../../../dev/state_folder.ts";
import type { Generator } from "../generator.ts";
import {
  OPENAPI_GENERATOR,
  OPENAPI_GENERATOR_VERSION,
  openapiGenerator,
} from "../openapi-generator/openapi_generator.ts";

/** Outside the work folder, so that the packages are compiled once. */
const TARGET = join(PROJECT_FOLDER, ".data", "generators", "cargo");

export const openapiGeneratorRust: Generator = {
  name: "openapi-generator-rust",
  language: "Rust",
  version: OPENAPI_GENERATOR_VERSION,
  document: "openapi.json",
  isQuick: false,
  install: [OPENAPI_GENERATOR],
  generate: [openapiGenerator("rust", "openapi.json")],
  compile: [["cargo", "build", "--quiet", "--target-dir", TARGET]],
  run: [join(TARGET, "debug", "openapi-generator-rust")],
};
