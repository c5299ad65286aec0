import type { Generator } from "./generator.ts";
import { heyApi } from "./hey-api/generator.ts";
import { openapiGeneratorCsharp } from "./openapi-generator-csharp/generator.ts";
import { openapiGeneratorJava } from "./openapi-generator-java/generator.ts";
import { openapiGeneratorKotlin } from "./openapi-generator-kotlin/generator.ts";
import { openapiGeneratorPhp } from "./openapi-generator-php/generator.ts";
import { openapiGeneratorRust } from "./openapi-generator-rust/generator.ts";
import { openapiTypescript } from "./openapi-typescript/generator.ts";
import { orval } from "./orval/generator.ts";

/** All generators that the published document is tried with. */
export const GENERATORS: readonly Generator[] = [
  openapiTypescript,
  heyApi,
  orval,
  openapiGeneratorCsharp,
  openapiGeneratorJava,
  openapiGeneratorKotlin,
  openapiGeneratorPhp,
  openapiGeneratorRust,
];
