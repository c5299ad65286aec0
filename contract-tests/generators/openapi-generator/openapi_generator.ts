import type { Command } from "../generator.ts";
import { pythonPackages } from "../tools.ts";

/** The version of openapi-generator, for all languages. */
export const OPENAPI_GENERATOR_VERSION = "7.26.0";

/** Its package on PyPI holds the program, which needs Java 11 or newer. */
export const OPENAPI_GENERATOR = pythonPackages(
  `openapi-generator-${OPENAPI_GENERATOR_VERSION}`,
  import.meta.url,
);

/** Makes a client into the folder `generated`, with the defaults of its language. */
export function openapiGenerator(language: string, document: string): Command {
  return ["openapi-generator-cli", "generate", "-i", document, "-g", language, "-o", "generated"];
}
