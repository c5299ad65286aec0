import type { Generator } from "../generator.ts";
import { goTools } from "../tools.ts";

/** `go.mod` pins it. */
const VERSION = "1.25.0";
const PROGRAM = goTools(`ogen-${VERSION}`, import.meta.url);

export const ogen: Generator = {
  name: "ogen",
  language: "Go",
  version: VERSION,
  document: "openapi.json",
  isQuick: false,
  install: [PROGRAM],
  generate: [["ogen", "--target", "lotline", "--package", "lotline", "openapi.json"]],
  compile: [["go", "build", "-o", "program", "."]],
  run: ["./program"],
};
