import type { Generator } from "../generator.ts";
import {
  OPENAPI_GENERATOR,
  OPENAPI_GENERATOR_VERSION,
  openapiGenerator,
} from "../openapi-generator/openapi_generator.ts";
import { pythonPackages } from "../tools.ts";

export const openapiGeneratorPython: Generator = {
  name: "openapi-generator-python",
  language: "Python",
  version: OPENAPI_GENERATOR_VERSION,
  document: "openapi.json",
  isQuick: false,
  // The Python of the client's packages is found first.
  install: [pythonPackages("openapi-generator-python", import.meta.url), OPENAPI_GENERATOR],
  generate: [openapiGenerator("python", "openapi.json")],
  // Its configuration.py lacks a key that its own types want: only the program's errors count.
  compile: [[
    "env",
    "MYPYPATH=generated",
    "mypy",
    "--strict",
    "--follow-imports=silent",
    "program.py",
  ]],
  run: ["env", "PYTHONPATH=generated", "python", "program.py"],
};
