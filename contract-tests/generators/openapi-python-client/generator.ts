import type { Generator } from "../generator.ts";
import { pythonPackages } from "../tools.ts";

const VERSION = "0.29.1";

export const openapiPythonClient: Generator = {
  name: "openapi-python-client",
  language: "Python",
  version: VERSION,
  document: "openapi.json",
  isQuick: true,
  install: [pythonPackages(`openapi-python-client-${VERSION}`, import.meta.url)],
  // A warning means that the client lacks a schema or an operation.
  generate: [["openapi-python-client", "generate", "--path", "openapi.json", "--fail-on-warning"]],
  compile: [["env", "MYPYPATH=lotline-client", "mypy", "--strict", "program.py"]],
  run: ["env", "PYTHONPATH=lotline-client", "python", "program.py"],
};
