import type { Generator } from "../generator.ts";
import {
  OPENAPI_GENERATOR,
  OPENAPI_GENERATOR_VERSION,
  openapiGenerator,
} from "../openapi-generator/openapi_generator.ts";

export const openapiGeneratorKotlin: Generator = {
  name: "openapi-generator-kotlin",
  language: "Kotlin",
  version: OPENAPI_GENERATOR_VERSION,
  document: "openapi.json",
  isQuick: false,
  install: [OPENAPI_GENERATOR],
  generate: [openapiGenerator("kotlin", "openapi.json")],
  // The generated build is Gradle's; pom.xml has its dependencies, since Maven compiles Java too.
  compile: [["mvn", "-q", "-B", "compile", "dependency:copy-dependencies"]],
  run: ["java", "-cp", "target/classes:target/dependency/*", "ProgramKt"],
};
