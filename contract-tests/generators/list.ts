import type { Generator } from "./generator.ts";
import { heyApi } from "./hey-api/generator.ts";
import { oapiCodegen } from "./oapi-codegen/generator.ts";
import { ogen } from "./ogen/generator.ts";
import { openapiGeneratorCsharp } from "./openapi-generator-csharp/generator.ts";
import { openapiGeneratorGo } from "./openapi-generator-go/generator.ts";
import { openapiGeneratorJava } from "./openapi-generator-java/generator.ts";
import { openapiGeneratorKotlin } from "./openapi-generator-kotlin/generator.ts";
import { openapiGeneratorPhp } from "./openapi-generator-php/generator.ts";
import { openapiGeneratorPython } from "./openapi-generator-python/generator.ts";
import { openapiGeneratorRust } from "./openapi-generator-rust/generator.ts";
import { openapiGeneratorTypescriptFetch } from "./openapi-generator-typescript-fetch/generator.ts";
import { openapiPythonClient } from "./openapi-python-client/generator.ts";
import { openapiTypescript } from "./openapi-typescript/generator.ts";
import { orval } from "./orval/generator.ts";
import { progenitor } from "./progenitor/generator.ts";

/** All generators that the published document is tried with. */
export const GENERATORS: readonly Generator[] = [
  oapiCodegen,
  ogen,
  openapiGeneratorGo,
  openapiTypescript,
  heyApi,
  orval,
  openapiGeneratorTypescriptFetch,
  openapiPythonClient,
  openapiGeneratorPython,
  openapiGeneratorJava,
  openapiGeneratorKotlin,
  openapiGeneratorRust,
  progenitor,
  openapiGeneratorCsharp,
  openapiGeneratorPhp,
];
