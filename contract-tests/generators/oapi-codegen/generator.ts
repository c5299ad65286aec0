import type { Generator } from "../generator.ts";
import { goTools } from "../tools.ts";

/** `go.mod` pins it. */
const VERSION = "2.8.2";
const PROGRAM = goTools(`oapi-codegen-${VERSION}`, import.meta.url);

export const oapiCodegen: Generator = {
  name: "oapi-codegen",
  language: "Go",
  version: VERSION,
  document: "openapi.json",
  // Building it takes 90 seconds of a processor the first time; all the rest, three.
  isQuick: false,
  install: [PROGRAM],
  generate: [
    ["mkdir", "lotline"],
    [
      ...["oapi-codegen", "-generate", "types,client", "-package", "lotline"],
      ...["-o", "lotline/client.go", "openapi.json"],
    ],
  ],
  compile: [["go", "build", "-o", "program", "."]],
  run: ["./program"],
};
