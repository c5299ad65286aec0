import type { Generator } from "../generator.ts";
import {
  OPENAPI_GENERATOR,
  OPENAPI_GENERATOR_VERSION,
  openapiGenerator,
} from "../openapi-generator/openapi_generator.ts";

const CLIENT = "generated/target/classes:generated/target/dependency/*";

export const openapiGeneratorJava: Generator = {
  name: "openapi-generator-java",
  language: "Java",
  version: OPENAPI_GENERATOR_VERSION,
  document: "openapi.json",
  isQuick: false,
  install: [OPENAPI_GENERATOR],
  generate: [openapiGenerator("java", "openapi.json")],
  compile: [
    ["mvn", "-q", "-B", "-f", "generated/pom.xml", "compile", "dependency:copy-dependencies"],
    ["javac", "-cp", CLIENT, "-d", "out", "Program.java"],
  ],
  run: ["java", "-cp", `out:${CLIENT}`, "Program"],
};
