import type { Generator } from "../generator.ts";
import {
  OPENAPI_GENERATOR,
  OPENAPI_GENERATOR_VERSION,
  openapiGenerator,
} from "../openapi-generator/openapi_generator.ts";

export const openapiGeneratorPhp: Generator = {
  name: "openapi-generator-php",
  language: "PHP",
  version: OPENAPI_GENERATOR_VERSION,
  document: "openapi.json",
  isQuick: false,
  install: [OPENAPI_GENERATOR],
  generate: [openapiGenerator("php", "openapi.json")],
  compile: [["php", "-l", "program.php"]],
  // Debian's packages php-cli, php-curl, php-mbstring and php-guzzlehttp-guzzle.
  run: ["php", "program.php"],
};
