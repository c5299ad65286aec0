/**
 * `deno task modules`: draws which folders import which, from the sources, into docs/architecture.md.
 *
 * @module
 */

import { posix } from "node:path";
import { answerHelp } from "../task_help.ts";

const ROOT = new URL("../", import.meta.url);
const PAGE = new URL("docs/architecture.md", ROOT);
const [BEGIN, END] = ["<!-- deno task modules -->\n", "<!-- end of modules -->"];

/** Folders of tools and tests: no part of what runs at a plant, at the top or in `cutover/`. */
const TOOLS = new Set([
  "bench",
  "containers",
  "contract-tests",
  "dev",
  "docs",
  "faults",
  "golden",
  "node_modules",
  "odd_requests",
  "practice",
  "releasing",
  "testing",
]);
/** Files at the top that are programs; the others are small modules that everything may use. */
const PROGRAMS = ["main.ts", "worker.ts", "app.ts"];
const SHARED = "shared";

/** A module's name, and the names of those that it imports. */
export type Modules = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * The module that a source belongs to: its folder, `cutover/` and a folder below it, or a program at
 * the top. Nothing for tools, tests, and what a build has made.
 */
export function moduleOf(path: string): string | undefined {
  const folders = path.split("/").slice(0, -1);
  const isSource = path.endsWith(".ts") && !path.endsWith("_test.ts");
  if (!isSource || folders.some((name) => TOOLS.has(name) || name === "dist")) return undefined;
  const [top, below] = folders;
  if (top === undefined) return PROGRAMS.includes(path) ? path : SHARED;
  return top === "cutover" && below !== undefined ? `cutover/${below}` : top;
}

/** @param sources the text of each file, by its path from the top */
export function modulesOf(sources: ReadonlyMap<string, string>): Modules {
  const modules = new Map<string, Set<string>>();
  for (const [path, text] of sources) {
    const from = moduleOf(path);
    if (from === undefined) continue;
    const imported = modules.get(from) ?? new Set();
    modules.set(from, imported);
    for (const [, target = ""] of text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+)"/g)) {
      const to = moduleOf(posix.normalize(posix.join(posix.dirname(path), target)));
      if (to !== undefined && to !== from) imported.add(to);
    }
  }
  return modules;
}

/** The same without arrows that follow from others: what a module reaches stays the same. */
export function reduced(modules: Modules): Modules {
  const kept = new Map([...modules].map(([name, imported]) => [name, new Set(imported)]));
  for (const name of [...kept.keys()].sort()) {
    for (const target of [...kept.get(name) ?? []].sort()) {
      kept.get(name)?.delete(target);
      if (!reaches(kept, name, target)) kept.get(name)?.add(target);
    }
  }
  return kept;
}

function reaches(modules: Modules, from: string, to: string): boolean {
  const seen = new Set<string>();
  const open = [...modules.get(from) ?? []];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (name === to) return true;
    if (seen.has(name)) continue;
    seen.add(name);
    open.push(...modules.get(name) ?? []);
  }
  return false;
}

/** A mermaid graph; {@link SHARED} modules are left out, since everything may import them. */
export function mermaidOf(modules: Modules): string {
  const names = [...modules.keys()].filter((name) => name !== SHARED).sort();
  const id = (name: string) => name.replaceAll(/\W/g, "_");
  const isCutover = (name: string) => name.split("/", 1)[0] === "cutover";
  const node = (name: string) => {
    const label = name === "cutover" ? "cutover/*.ts" : name.replace(/^cutover\//, "");
    return `${id(name)}["${label}${label.endsWith(".ts") ? "" : "/"}"]`;
  };
  const cutover = names.filter(isCutover);
  const arrows = names.flatMap((name) =>
    [...modules.get(name) ?? []].filter((target) => target !== SHARED).sort()
      .map((target) => `${id(name)} --> ${id(target)}`)
  );
  return [
    "flowchart TD",
    ...names.filter((name) => !isCutover(name)).map((name) => `  ${node(name)}`),
    ...cutover.length === 0 ? [] : ['  subgraph the_cutover ["cutover/"]'],
    ...cutover.map((name) => `    ${node(name)}`),
    ...cutover.length === 0 ? [] : ["  end"],
    ...arrows.map((arrow) => `  ${arrow}`),
  ].join("\n");
}

/** The page with this picture in place of the one between its markers. */
export function withPicture(page: string, picture: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`docs/architecture.md has lost ${BEGIN.trim()}`);
  const block = `\n\`\`\`mermaid\n${picture}\n\`\`\`\n\n`;
  return page.slice(0, begin + BEGIN.length) + block + page.slice(end);
}

async function readSources(): Promise<Map<string, string>> {
  const sources = new Map<string, string>();
  const visit = async (folder: string) => {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
      const path = `${folder}${name}`;
      if (isDirectory) {
        if (!TOOLS.has(name) && !name.startsWith(".")) await visit(`${path}/`);
      } else if (moduleOf(path) !== undefined) {
        sources.set(path, await Deno.readTextFile(new URL(path, ROOT)));
      }
    }
  };
  await visit("");
  return sources;
}

/** docs/architecture.md as it is, and with the picture that the sources give now. */
export async function architecture(): Promise<{ current: string; fresh: string }> {
  const current = await Deno.readTextFile(PAGE);
  const picture = mermaidOf(reduced(modulesOf(await readSources())));
  return { current, fresh: withPicture(current, picture) };
}

if (import.meta.main) {
  answerHelp({ task: "modules" });
  const { current, fresh } = await architecture();
  if (fresh !== current) await Deno.writeTextFile(PAGE, fresh);
  console.log(
    fresh === current ? "docs/architecture.md is up to date" : "docs/architecture.md written",
  );
}
