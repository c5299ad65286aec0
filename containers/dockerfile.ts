/**
 * Reads the Dockerfile, and copies into a folder what its COPY instructions would put in the image.
 *
 * @module
 */
import { copyFileSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join, matchesGlob, relative } from "node:path";
import { z } from "zod";

/** The instructions for its (last) image. */
export interface ImageRecipe {
  workdir: string;
  user: string;
  env: Record<string, string>;
  entrypoint: string[];
  cmd: string[];
  healthcheck: string[];
  labels: Record<string, string>;
  copies: { sources: string[]; target: string }[];
  /** The commands of RUN instructions, those joined by `&&` one by one. */
  runs: string[][];
}

const Words = z.array(z.string());

/** Throws when an instruction has a form that this project's Dockerfile doesn't use. */
export function readDockerfile(text: string): ImageRecipe {
  const recipe: ImageRecipe = {
    workdir: "/",
    user: "root",
    env: {},
    entrypoint: [],
    cmd: [],
    healthcheck: [],
    labels: {},
    copies: [],
    runs: [],
  };
  // As a build without arguments has them.
  const args: Record<string, string> = {};
  for (const line of instructions(text)) {
    const [, keyword = "", rest = ""] = /^(\S+)\s+(.*)$/s.exec(line) ?? [];
    if (keyword === "WORKDIR") recipe.workdir = rest;
    else if (keyword === "USER") recipe.user = rest;
    else if (keyword === "ARG") Object.assign(args, pairs(rest));
    else if (keyword === "ENV") Object.assign(recipe.env, withArgs(pairs(rest), args));
    else if (keyword === "LABEL") Object.assign(recipe.labels, labels(rest, args));
    else if (keyword === "ENTRYPOINT") recipe.entrypoint = words(rest);
    else if (keyword === "CMD") recipe.cmd = words(rest);
    else if (keyword === "HEALTHCHECK") recipe.healthcheck = words(rest.replace(/^.*?CMD\s+/, ""));
    else if (keyword === "RUN") recipe.runs.push(...rest.split("&&").map((run) => split(run)));
    else if (keyword === "COPY") {
      const places = split(rest);
      const target = places.pop() ?? "";
      recipe.copies.push({ sources: places, target });
    } else if (!["FROM", "EXPOSE"].includes(keyword)) throw new Error(`Unknown to us: ${line}`);
  }
  return recipe;
}

/**
 * Copies into `folder` what COPY would put into the image's working directory.
 *
 * @param context The folder that the image is built from.
 * @param ignored The text of .dockerignore.
 */
export function layOut(
  recipe: ImageRecipe,
  context: string,
  ignored: string,
  folder: string,
): void {
  const patterns = ignored.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  for (const { sources, target } of recipe.copies) {
    for (const source of sources) {
      const from = join(context, source);
      const isFolder = statSync(from).isDirectory();
      const files = isFolder
        ? readdirSync(from, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => join(entry.parentPath, entry.name))
        : [from];
      for (const file of files) {
        if (patterns.some((pattern) => matchesGlob(relative(context, file), pattern))) continue;
        const to = join(folder, target, isFolder ? relative(from, file) : basename(file));
        mkdirSync(dirname(to), { recursive: true });
        copyFileSync(file, to);
      }
    }
  }
}

function instructions(text: string): string[] {
  return text.split("\n").filter((line) => !line.startsWith("#")).join("\n")
    .replaceAll(/\s*\\\n\s*/g, " ").split("\n").filter((line) => line.trim() !== "");
}

function pairs(text: string): Record<string, string> {
  return Object.fromEntries(
    split(text).map((pair) => {
      const at = pair.indexOf("=");
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

function withArgs(values: Record<string, string>, args: Record<string, string>) {
  return Object.fromEntries(
    Object.entries(values).map((
      [name, value],
    ) => [name, value.startsWith("$") ? args[value.slice(1)] ?? "" : value]),
  );
}

/** All values of our labels are quoted. */
function labels(text: string, args: Record<string, string>) {
  const quoted = [...text.matchAll(/(\S+)="([^"]*)"/g)];
  return withArgs(Object.fromEntries(quoted.map(([, name, value]) => [name, value])), args);
}

function words(text: string): string[] {
  return Words.parse(JSON.parse(text));
}

function split(text: string): string[] {
  return text.trim().split(/\s+/);
}
