import type { Generator } from "./generator.ts";
import { openapiTypescript } from "./openapi-typescript/generator.ts";

/** All generators that the published document is tried with. */
export const GENERATORS: readonly Generator[] = [
  openapiTypescript,
];
