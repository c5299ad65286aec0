import type { Generator } from "../generator.ts";
import {
  OPENAPI_GENERATOR,
  OPENAPI_GENERATOR_VERSION,
  openapiGenerator,
} from "../openapi-generator/openapi_generator.ts";

export const openapiGeneratorCsharp: Generator = {
  name: "openapi-generator-csharp",
  language: "C#",
  version: OPENAPI_GENERATOR_VERSION,
  document: "openapi.json",
  isQuick: false,
  install: [OPENAPI_GENERATOR],
  generate: [openapiGenerator("csharp", "openapi.json")],
  generatedOnly: "not compiled, since .NET and its packages come from NuGet alone",
};
