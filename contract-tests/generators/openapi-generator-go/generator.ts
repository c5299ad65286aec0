import type { Generator } from "../generator.ts";
import {
  OPENAPI_GENERATOR,
  OPENAPI_GENERATOR_VERSION,
  openapiGenerator,
} from "../openapi-generator/openapi_generator.ts";

export const openapiGeneratorGo: Generator = {
  name: "openapi-generator-go",
  language: "Go",
  version: OPENAPI_GENERATOR_VERSION,
  document: "openapi.json",
  isQuick: false,
  install: [OPENAPI_GENERATOR],
  generate: [openapiGenerator("go", "openapi.json")],
  compile: [["go", "build", "-o", "program", "."]],
  run: ["./program"],
};
